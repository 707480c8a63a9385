"""The flash under a person's eyes: bars, and one question for whoever wants to stop it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from time import monotonic

from bty_agent.host import Host
from bty_agent.render.bars import bars
from bty_agent.render.text import lines
from bty_agent.wizard.answers import Answer, NotWrote, Wrote
from bty_agent.wizard.sessions import Session
from bty_agent.wizard.terminal import Hangup, Terminal
from bty_agent.wizard.work import failed, trouble
from bty_core.errors import BtyError, Cancelled
from bty_core.events import Done, Emit, Event
from bty_core.flash.fold import FlashState, advance
from bty_core.flash.plan import FlashPlan

_LOOK = 0.2  # seconds between two looks at whether the flash has ended


class Writing:
    """One flash in a thread of its own, so that a person can be asked while it goes on."""

    def __init__(self, host: Host, session: Session, plan: FlashPlan) -> None:
        self._host, self._session, self._plan = host, session, plan
        self._cancel = threading.Event()
        self._news: SimpleQueue[Event | int] = SimpleQueue()
        self._state = FlashState()
        self._done: Done | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="bty-wizard-write", daemon=True)

    def run(self, terminal: Terminal, draw: Callable[[], None], sure: Callable[[], bool]) -> Answer:
        """Flash, and return how it ended. `sure` asks whether to stop; the flash goes on meanwhile."""
        self._session.begin(self._cancel)
        self._thread.start()
        while self._thread.is_alive() or not self._news.empty():
            draw()
            try:
                self._watch(terminal)
            except Hangup:
                self._stop()
                raise
            except KeyboardInterrupt:
                if self._thread.is_alive() and sure():
                    self._stop()
        return self._ended(terminal)

    def _watch(self, terminal: Terminal) -> None:
        with _shown(terminal, self._state) as show:
            while self._thread.is_alive() or not self._news.empty():
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
            self._session.wait_for_turn(self._news.put)
            if self._cancel.is_set():
                error = Cancelled("stopped before it began")
                error.aftermath = f"nothing was written to {self._plan.disk.path}"
                raise error
            self._done = self._host.flash(self._plan, self._emit, self._cancel)
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that watches
            self._error = error

    def _emit(self, event: Event) -> None:
        self._session.emit(event)
        self._news.put(event)

    def _stop(self) -> None:
        """Stop, and wait until nothing writes to the disk any more."""
        self._cancel.set()
        while self._thread.is_alive():
            try:
                self._thread.join()
            except KeyboardInterrupt:
                continue

    def _ended(self, terminal: Terminal) -> Answer:
        def on_try(number: int, why: str) -> None:
            terminal.say("yellow", f"The server cannot be told, try {number}: {why}")

        if self._done is not None:
            return Wrote(self._done, self._session.done(self._plan, self._done, on_try))
        error = self._error
        if not isinstance(error, BtyError):
            assert error is not None
            raise error
        self._session.failed(self._plan, error)
        return NotWrote(trouble(error)) if isinstance(error, Cancelled) else failed(error)


@contextmanager
def _shown(terminal: Terminal, state: FlashState) -> Iterator[Emit]:
    if terminal.dumb:
        yield lines(terminal.console)
    else:
        with bars(terminal.console, state) as emit:
            yield emit
