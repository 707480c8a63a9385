"""Tells the server how a flash goes, from a thread of its own: a server that is away slows nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

from bty_agent.server.client import ServerClient
from bty_agent.server.errors import AttemptOver, ServerRefused, ServerUnreachable, TokenRefused
from bty_agent.server.timing import Timing
from bty_core.disks.model import Disk
from bty_core.errors import BtyError, Cancelled
from bty_core.events import Event
from bty_core.flash.fold import FlashState, Phase, advance
from bty_core.wire.reports import (
    DiskReport,
    DoneReport,
    FailedReport,
    ProgressAnswer,
    ProgressReport,
    ReportedPhase,
)

OnTry = Callable[[int, str], None]  # which try failed, and why
_PATIENT = Timing()
_ASK_AGAIN = 10  # seconds, where the server does not say
_PHASES = {
    Phase.WRITING: ReportedPhase.WRITING,
    Phase.RETRYING: ReportedPhase.RETRYING,
    Phase.VERIFYING: ReportedPhase.VERIFYING,
    Phase.FINISHING: ReportedPhase.FINISHING,
    Phase.PROVISIONING: ReportedPhase.PROVISIONING,
}


class Reporter:
    """Reports for one attempt while the block lasts. Nothing here raises into the flash.

    `cancel` is set when the server says so, and when the attempt is over there. A token that is
    refused ends the reports, not the flash.
    """

    def __init__(
        self, client: ServerClient, *, cancel: threading.Event, timing: Timing = _PATIENT
    ) -> None:
        """Nothing is sent before the block is entered and there is something to say."""
        self.unreachable_since: float | None = None  # of time.monotonic()
        self.reported: ProgressReport | None = None  # the newest that the server knows
        self.over: ServerRefused | None = None  # why nothing more is reported
        self.cancelled = False  # the server asked to stop
        self._client = client
        self._cancel = cancel
        self._timing = timing
        self._state = FlashState()
        self._wanted: ProgressReport | None = None
        self._about = ProgressReport(phase=ReportedPhase.WAITING)
        self._news = False
        self._asking = False  # for a turn: these reports are signs of life too
        self._ended = False
        self._sent_at = float("-inf")
        self._failures = 0
        self._change = threading.Condition()
        self._line = threading.Lock()  # one report at a time
        self._thread = threading.Thread(target=self._work, name="bty-reports", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Report nothing more. One that is under way is not waited for long."""
        with self._change:
            self._ended = True
            self._change.notify_all()
        if self._thread.is_alive():
            self._thread.join(self._timing.gap)

    @property
    def stopped_by(self) -> BtyError | None:
        """Why the server wants this attempt to stop, or None."""
        if isinstance(self.over, AttemptOver):
            return self.over
        return Cancelled("an operator cancelled this attempt") if self.cancelled else None

    def about(
        self, *, image: str | None = None, disk: Disk | None = None, console: str | None = None
    ) -> None:
        """Say with all further reports which image goes onto which disk, and where the person is."""
        self._about = replace(
            self._about,
            image=image[-255:] if image else self._about.image,
            disk=DiskReport.of(disk) if disk else self._about.disk,
            console=console[:80] if console else self._about.console,
        )

    def waiting(self) -> None:
        """A person thinks, or nothing can be written yet; gives up a turn."""
        self._say(replace(self._about, phase=ReportedPhase.WAITING))

    def retrying(self, try_number: int) -> None:
        """A try has failed and this one will follow; further reports are of it."""
        self._about = replace(self._about, try_number=try_number)
        self._state = FlashState()
        self._say(replace(self._about, phase=ReportedPhase.RETRYING))

    def emit(self, event: Event) -> None:
        """Take an event of the flash."""
        self._state = state = advance(self._state, event, time.monotonic())
        phase = _PHASES.get(state.phase)
        if phase is None:
            return
        self._say(
            replace(
                self._about,
                phase=phase,
                source_bytes=state.source_bytes,
                disk_bytes=state.disk_bytes,
                total_bytes=state.total_bytes,
                bottleneck=state.bottleneck,
            )
        )

    def wait_for_turn(
        self, on_position: Callable[[int], None], on_try: OnTry = lambda _number, _why: None
    ) -> None:
        """Return when this machine may write; `on_position` hears each new place in the queue.

        A server that cannot be reached has decided nothing and is asked again, which `on_try`
        hears. Raises `Cancelled`, and `ServerRefused` where the attempt or its token is no longer
        good. A server that knows no queue lets everybody begin.
        """
        self._asking = True
        try:
            self._ask_for_turn(on_position, on_try)
        finally:
            self._asking = False

    def _ask_for_turn(self, on_position: Callable[[int], None], on_try: OnTry) -> None:
        told: int | None = None
        failures = 0
        ask = replace(self._about, phase=ReportedPhase.QUEUED)
        while True:
            self._raise_if_stopped()
            try:
                answer = self._send(ask)
            except ServerUnreachable as error:
                failures += 1
                on_try(failures, error.message)
                self._cancel.wait(self._timing.wait(failures))
                continue
            except (AttemptOver, TokenRefused):
                raise
            except ServerRefused:
                return
            failures = 0
            if answer.cancel:
                continue
            if answer.queue_position is None:
                return
            if answer.queue_position != told:
                told = answer.queue_position
                on_position(told)
            again = min(max(answer.ask_again_seconds or _ASK_AGAIN, 1), 30)
            self._cancel.wait(again * self._timing.pace)

    def finish(self, done: DoneReport, patience: float, on_try: OnTry) -> bool:
        """Tell the server that the image is on the disk; return whether it knows by now.

        Tried for `patience` seconds, with signs of life meanwhile; a refusal ends it at once and is
        in `over`. Afterwards nothing more is reported.
        """
        return self._insist(lambda: self._client.done(done), patience, on_try)

    def give_up(self, failed: FailedReport, patience: float, on_try: OnTry) -> bool:
        """Tell the server that this machine has given up; as `finish`."""
        return self._insist(lambda: self._client.failed(failed), patience, on_try)

    def _insist(self, action: Callable[[], None], patience: float, on_try: OnTry) -> bool:
        until = time.monotonic() + patience
        number = 0
        try:
            while True:
                number += 1
                try:
                    with self._line:  # no report may come after the last one
                        action()
                        self._ended = True
                except ServerUnreachable as error:
                    self.unreachable_since = self.unreachable_since or time.monotonic()
                    on_try(number, error.message)
                    wait = self._timing.wait(number)
                    if time.monotonic() + wait > until:
                        return False
                    time.sleep(wait)
                except ServerRefused as error:
                    self.over = error
                    on_try(number, error.message)
                    return False
                else:
                    self.unreachable_since = None
                    return True
        finally:
            self.close()

    def _say(self, report: ProgressReport) -> None:
        with self._change:
            # Most events change nothing that anybody waits for: the thread is woken for a new phase.
            waited_for = self._wanted is None or report.phase is not self._wanted.phase
            self._wanted, self._news = report, True
            if waited_for:
                self._change.notify_all()

    def _raise_if_stopped(self) -> None:
        if found := self.stopped_by:
            raise found
        if self._cancel.is_set():
            raise Cancelled("interrupted")

    def _work(self) -> None:
        while report := self._next():
            with suppress(ServerUnreachable, ServerRefused):
                self._send(report)

    def _next(self) -> ProgressReport | None:
        """Wait until something is to be sent, and return it; None at the end."""
        with self._change:
            while not self._ended and self.over is None:
                left = self._due() - time.monotonic()
                if left <= 0 and self._wanted is not None:
                    self._news = False
                    return self._wanted
                # News that only changes numbers does not wake anybody.
                self._change.wait(min(max(left, 0.001), self._timing.gap))
            return None

    def _due(self) -> float:
        if self._wanted is None or self._asking:
            return float("inf")
        if self._failures:
            return self._sent_at + self._timing.wait(self._failures)
        if self._news:
            return self._sent_at + self._timing.gap
        thinks = self._wanted.phase is ReportedPhase.WAITING
        return self._sent_at + (self._timing.thinking if thinks else self._timing.alive)

    def _send(self, report: ProgressReport) -> ProgressAnswer:
        with self._line:
            if self._ended:
                return ProgressAnswer()
            if self._wanted is None or report.phase is ReportedPhase.QUEUED:
                self._wanted = report
            self._sent_at = time.monotonic()
            try:
                answer = self._client.progress(report)
            except ServerUnreachable:
                self._failures += 1
                self.unreachable_since = self.unreachable_since or time.monotonic()
                raise
            except (AttemptOver, TokenRefused) as error:
                # A report that was overtaken by the end of the attempt is no news.
                if not self._ended:
                    self.over = error
                    if isinstance(error, AttemptOver):
                        self._cancel.set()
                raise
            finally:
                self._sent_at = time.monotonic()
            self._failures, self.unreachable_since, self.reported = 0, None, report
            if answer.cancel and not self._ended:
                self.cancelled = True
                self._cancel.set()
            return answer
