"""The flash under a person's eyes: bars, and one question for whoever wants to stop it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from time import monotonic

from bty_agent.host import Host
from bty_agent.render.bars import bars
from bty_agent.server.errors import ServerUnreachable
from bty_agent.wizard.answers import Answer, NoTurn, NotWrote, Wrote
from bty_agent.wizard.sessions import Session
from bty_agent.wizard.terminal import Hangup, Terminal
from bty_agent.wizard.work import failed, trouble
from bty_core.errors import BtyError, Cancelled
from bty_core.events import Done, Emit, Event
from bty_core.flash.fold import FlashState, Phase, advance
from bty_core.flash.lines import lines
from bty_core.flash.plan import FlashPlan
from bty_core.provisioning.job import Provisioner

_LOOK = 0.2  # seconds between two looks at whether the flash has ended


class Writing:
    """One flash in a thread of its own, so that a person can be asked while it goes on."""

    def __init__(
        self,
        host: Host,
        session: Session,
        plan: FlashPlan,
        provisioner: Provisioner | None = None,
        *,
        turn: bool,
    ) -> None:
        """`turn`: ask the server first whether this machine may write now."""
        self._host, self._session, self._plan, self._turn = host, session, plan, turn
        self._provisioner = provisioner
        # Not whether the thread lives: an interrupted join() of Python 3.11 takes it for ended.
        self._over = threading.Event()
        self._cancel = session.begin(plan)
        self._news: SimpleQueue[Event | int] = SimpleQueue()
        self._state = FlashState()
        self._done: Done | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="bty-wizard-write", daemon=True)

    def run(self, terminal: Terminal, draw: Callable[[], None], sure: Callable[[], bool]) -> Answer:
        """Flash, and return how it ended. `sure` asks whether to stop; the flash goes on meanwhile."""
        self._thread.start()
        while self._works or not self._news.empty():
            draw()
            try:
                self._watch(terminal)
            except Hangup:
                self._stop()
                raise
            except KeyboardInterrupt:
                if self._works and sure():
                    self._stop()
        return self._ended(terminal)

    @property
    def _works(self) -> bool:
        return not self._over.is_set()

    @property
    def writes(self) -> bool:
        """Whether the disk has been touched by now."""
        return self._state.phase is not Phase.WAITING

    def _watch(self, terminal: Terminal) -> None:
        with _shown(terminal, self._state) as show:
            while self._works or not self._news.empty():
                try:
                    news = self._news.get(timeout=_LOOK)
                except Empty:
                    continue
                if isinstance(news, int):
                    terminal.say("", f"Waiting for a turn: place {news} in the queue of the server")
                    continue
                self._state = advance(self._state, news, monotonic())
                show(news)

    def _work(self) -> None:
        try:
            if self._turn:
                self._session.wait_for_turn(self._news.put, _raise)
            if self._cancel.is_set():
                raise self._session.stopped_by or Cancelled("stopped before it began")
            try:
                self._done = self._host.flash(
                    self._plan, self._emit, self._cancel, self._provisioner
                )
            finally:
                self._session.hand_over()
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that watches
            self._error = error
        finally:
            self._over.set()

    def _emit(self, event: Event) -> None:
        self._session.emit(event)
        self._news.put(event)

    def _stop(self) -> None:
        """Stop, and wait until nothing writes to the disk any more."""
        self._cancel.set()
        while self._works:
            with suppress(KeyboardInterrupt):
                self._over.wait()

    def _ended(self, terminal: Terminal) -> Answer:
        def on_try(_number: int, why: str) -> None:
            terminal.say("yellow", f"The server cannot be told: {why}")

        error = self._error
        if self._done is not None:
            return Wrote(self._done, self._session.done(self._plan, self._done, on_try))
        if isinstance(error, ServerUnreachable):
            self._session.waits()
            return NoTurn(trouble(error))
        if not isinstance(error, BtyError):
            assert error is not None
            raise error
        if isinstance(error, Cancelled) and self._session.stopped_by is not None:
            stopped = self._session.stopped_by
            stopped.aftermath = error.aftermath
            error = stopped
        if not self.writes:
            error.aftermath = error.aftermath or f"nothing was written to {self._plan.disk.path}"
        self._session.failed(error)
        return NotWrote(trouble(error)) if isinstance(error, Cancelled) else failed(error)


def _raise(_number: int, why: str) -> None:
    raise ServerUnreachable(why)


@contextmanager
def _shown(terminal: Terminal, state: FlashState) -> Iterator[Emit]:
    if terminal.dumb:
        yield lines(lambda line: terminal.console.say(f"bty: {line}"))
    else:
        with bars(terminal.console, state) as emit:
            yield emit
