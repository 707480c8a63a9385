"""An unattended flash from its first question to the server to the reboot."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from bty_agent.exits import Exit, exit_for
from bty_agent.host import Host
from bty_agent.server.client import ServerClient
from bty_agent.server.errors import AttemptOver, ServerRefused, ServerUnreachable, TokenRefused
from bty_agent.server.reporter import Reporter
from bty_agent.unattended.errors import Unreported
from bty_agent.unattended.failure import Failure
from bty_agent.unattended.job import Job, Wanted, prepare
from bty_agent.unattended.journal import Journal
from bty_agent.unattended.milestones import milestones
from bty_agent.unattended.pace import Pace
from bty_agent.unattended.workshop import Workshop
from bty_core.disks.model import Disk
from bty_core.errors import (
    BtyError,
    Cancelled,
    ImageUnavailable,
    Refusals,
    Refused,
    VerifyFailed,
    WriteFailed,
)
from bty_core.events import Done, Event
from bty_core.flash.plan import FlashPlan
from bty_core.flash.words import outcome
from bty_core.machine.efi import entry_refusals
from bty_core.program.console import plain
from bty_core.wire.plan import Mode, Plan, Provisioning
from bty_core.wire.reports import DoneReport, FailedReport, ProgressReport, ReportedPhase

_CLOCK_IS_WRONG = timedelta(minutes=5)
_WORTH_ANOTHER_TRY = (ImageUnavailable, WriteFailed, VerifyFailed)
T = TypeVar("T")


class Unattended:
    """One attempt of one machine. `failure` is why it ended otherwise than with a reboot."""

    def __init__(
        self, job: Job, host: Host, journal: Journal, pace: Pace, *, leave_alone: bool
    ) -> None:
        """Nothing is asked yet. `leave_alone`: neither reboot the host nor set its clock."""
        self.failure: Failure | None = None
        self._job = job
        self._host = host
        self._journal = journal
        self._pace = pace
        self._leave_alone = leave_alone
        self._cancel = threading.Event()
        self._client = ServerClient(job.server, job.mac, token=job.token, attempt=job.attempt)
        self._reporter = Reporter(self._client, cancel=self._cancel, timing=pace.timing)
        self._name = f"attempt {job.attempt}"
        self._given: Provisioning | None = None
        self._workshop = Workshop(
            folder=journal.folder / f"attempt-{job.attempt}",
            mac=job.mac,
            fetch=lambda offer: self._patiently(lambda: self._client.workflow(offer)),
        )
        self._image: str | None = None
        self._disk: Disk | None = None

    def run(self) -> Exit:
        """Do what the server wants; return how it ended. After a reboot was asked for, that is `DONE`."""
        with self._reporter:
            try:
                return self._run()
            except KeyboardInterrupt:
                return self._failed(self._stopped(Cancelled("interrupted")), Exit.INTERRUPTED)
            except BtyError as error:
                # As the flash ended, also where that came of what the server said meanwhile.
                return self._failed(self._stopped(error), exit_for(error))
            except Exception as error:  # noqa: BLE001  # nobody looks: the log and the server must have it
                self._journal.note("".join(traceback.format_exception(error)))
                bug = BtyError(f"{type(error).__name__}: {error}", hint=_REPORT_IT)
                return self._failed(bug, Exit.BUG)

    def _run(self) -> Exit:
        plan = self._ask()
        self._journal.note(f"the plan: {plan.for_a_log()}")
        self._mend_clock()
        match plan.mode:
            case Mode.INTERACTIVE:
                return self._leave_to_a_person(plan)
            case Mode.LOCAL:
                return self._to_own_disk(plan)
            case Mode.AUTO:
                pass
        self._reporter.waiting()
        self._tell_inventory()
        wanted, flashed, done = self._tries(plan)
        try:
            self._say(outcome(flashed, done))
            if wanted.uefi_entry and not self._no_entry(flashed):
                self._boot_once(flashed.disk, wanted.image.name)
            self._tell_done(wanted, flashed, done)
        except KeyboardInterrupt:
            raise self._unreported(flashed.disk, "bty was interrupted", None) from None
        return self._reboot()

    def _ask(self) -> Plan:
        """Ask for the plan. What is secret in it is given out once: it is kept for another try."""
        plan = self._patiently(self._client.plan)
        given = plan.provisioning
        if given.withheld is None:
            self._given = given
        elif self._given is not None and self._given.mode is given.mode:
            return replace(plan, provisioning=self._given)
        return plan

    def _tries(self, plan: Plan) -> tuple[Wanted, FlashPlan, Done]:
        """Flash, and again where that may help; raise the last failure."""
        number = 1
        while True:
            try:
                return self._try(plan)
            except _WORTH_ANOTHER_TRY as error:
                if self._reporter.stopped_by or number == self._pace.tries:
                    raise
                wait = self._pace.wait(number)
                self._say(
                    f"{error.message}; {error.aftermath or 'nothing was written'};"
                    f" trying again in {wait:g} s (try {number + 1} of {self._pace.tries})"
                )
            number += 1
            self._reporter.retrying(number)
            self._pause(wait)
            plan = self._ask()

    def _try(self, plan: Plan) -> tuple[Wanted, FlashPlan, Done]:
        wanted = Wanted.of(plan, self._pace.http, self._workshop)
        disk = self._host.find(wanted.selector)
        self._image, self._disk = wanted.image.name, disk
        self._reporter.about(image=self._image, disk=disk, console=self._host.console)
        prepared = prepare(wanted, disk)
        for reason in self._no_entry(prepared) if wanted.uefi_entry else ():
            self._say(f"will make no boot entry: {reason.message}")
        self._reporter.wait_for_turn(
            lambda place: self._say(f"waits for its turn: place {place} in the queue"),
            self._once_in_a_while("waits for the server to give it a turn"),
        )
        self._say(f"writes {plain(wanted.image.name)} onto {plain(disk.title)}")
        show = milestones(self._journal, self._name, self._pace.say_every)

        def emit(event: Event) -> None:
            self._reporter.emit(event)
            show(event)

        try:
            done = self._host.flash(prepared, emit, self._cancel, wanted.provisioner)
        finally:
            self._hand_over_report()
        return wanted, prepared, done

    def _hand_over_report(self) -> None:
        """Send what a workflow left; what cannot be sent stays here, and is no reason to fail."""
        try:
            report = self._workshop.report()
            if report is None:
                return
            self._client.report(report)
        except (BtyError, OSError) as error:
            where = self._workshop.reports
            self._say(f"the report of the workflow stays in {where}: {error}")
        else:
            self._say("the server has the report of the workflow")

    def _tell_inventory(self) -> None:
        try:
            inventory = self._host.inventory()
        except BtyError as error:
            self._say(f"cannot say what this machine has: {error.message}")
            return
        try:
            self._patiently(lambda: self._client.inventory(inventory))
        except (AttemptOver, TokenRefused):
            raise
        except ServerRefused as error:
            self._say(f"the server does not take what this machine has: {error.message}")

    def _leave_to_a_person(self, plan: Plan) -> Exit:
        why = plan.reason or "its boot policy has changed"
        self._say(f"the server wants a person here: {why}")
        self.failure = Failure(
            code="wizard-wanted",
            message=why,
            attempt=self._job.attempt,
            reported=True,
            exit_code=Exit.DONE,
        )
        return Exit.DONE

    def _to_own_disk(self, plan: Plan) -> Exit:
        """Go to the machine's own disk, unless the server says so because this attempt is over."""
        why = plan.reason or "its boot policy has changed"
        waiting = ProgressReport(phase=ReportedPhase.WAITING)
        try:
            over = self._patiently(lambda: self._client.progress(waiting)).cancel
        except AttemptOver as error:
            raise AttemptOver(why, hint=error.hint, status=error.status) from error
        if over:
            raise Cancelled(why)
        self._say(f"nothing to flash: {why}")
        unwanted = FailedReport(code="cancelled", message=f"nothing to flash: {why}")
        self._reporter.give_up(unwanted, self._pace.failed_patience, _quietly)
        return self._reboot()

    def _tell_done(self, wanted: Wanted, flashed: FlashPlan, done: Done) -> None:
        """Tell the server for as long as there is patience; raise `Unreported` where it refuses to hear it."""
        report = DoneReport(
            image=wanted.image.name,
            disk=str(flashed.disk.path),
            bytes_written=done.bytes_written,
            seconds=done.seconds,
        )
        told = self._reporter.finish(
            report, self._pace.done_patience, self._once_in_a_while("is done, and cannot say so")
        )
        if told:
            self._say("the server knows that it is done")
        elif refused := self._reporter.over:
            raise self._unreported(flashed.disk, refused.message, refused.hint)
        else:
            self._say("the server does not know that it is done: it cannot be reached")

    def _unreported(self, disk: Disk, why: str, hint: str | None) -> Unreported:
        error = Unreported(
            f"the image is on {disk.path}, and the server does not know it: {why}", hint=hint
        )
        error.aftermath = f"{disk.path} holds the image and can be booted"
        return error

    def _no_entry(self, plan: FlashPlan) -> list[Refused]:
        """Return why UEFI cannot start the disk: known before the flash, and no reason against it."""
        return entry_refusals(plan.disk, plan.image.table, self._host.firmware.value)

    def _boot_once(self, disk: Disk, title: str) -> None:
        try:
            self._say(self._host.boot_once(disk, title))
        except BtyError as error:
            self._say(f"the image is on the disk, but {error.message}")

    def _reboot(self) -> Exit:
        if self._leave_alone:
            self._say("would reboot now")
        else:
            self._say("reboots now")
            try:
                self._host.reboot()
            except BtyError as error:
                return self._stays(error)
        return Exit.DONE

    def _stays(self, error: BtyError) -> Exit:
        """Leave a computer that does not start again to a person; all else went well."""
        code = exit_for(error)
        self.failure = Failure(
            code=error.code,
            message=f"all is done, and this machine does not reboot: {error.message}",
            hint=error.hint,
            attempt=self._job.attempt,
            image=self._image,
            disk=str(self._disk.path) if self._disk else None,
            reported=True,
            exit_code=code,
        )
        self._say(self.failure.message)
        return code

    def _mend_clock(self) -> None:
        """Take the server's clock where ours is plainly behind; never go back."""
        ahead = self._client.clock_offset
        if ahead is None or ahead < _CLOCK_IS_WRONG:
            return
        to = datetime.now(UTC) + ahead
        if self._leave_alone:
            self._say(f"would set the clock to {to:%Y-%m-%d %H:%M} UTC, as the server has it")
            return
        try:
            self._host.set_clock(to)
        except OSError as error:
            self._say(f"the clock is behind and cannot be set: {error.strerror}")
        else:
            self._say(f"the clock was behind; now it is {to:%Y-%m-%d %H:%M} UTC, as on the server")

    def _failed(self, error: BtyError, code: Exit) -> Exit:
        """Say why, leave it for the wizard, and tell the server, once."""
        cancelled = isinstance(error, Cancelled)
        self.failure = Failure(
            code=error.code,
            message=error.message,
            hint=error.hint,
            aftermath=error.aftermath,
            attempt=self._job.attempt,
            image=self._image,
            disk=str(self._disk.path) if self._disk else None,
            exit_code=code,
        )
        self._say(f"{'was cancelled' if cancelled else 'failed'}: {error.message}")
        reasons = error.reasons if isinstance(error, Refusals) else ()
        for text in (
            *(f"- {one.message}" for one in reasons if len(reasons) > 1),
            f"hint: {error.hint}" if error.hint else None,
            error.aftermath or "nothing was written",
            "no other try, no reboot: the wizard comes next; a network boot opens a new attempt",
        ):
            if text:
                self._journal.say(f"     {plain(text)}")
        if isinstance(error, AttemptOver | TokenRefused | Unreported):
            return code
        report = FailedReport(
            code=error.code,
            message=error.message[:2000],
            hint=error.hint[:2000] if error.hint else None,
            log=self._journal.tail(),
        )
        told = self._reporter.give_up(report, self._pace.failed_patience, self._note_try)
        # An attempt that was cancelled before it began is over already: the server knows.
        known = told or (cancelled and isinstance(self._reporter.over, AttemptOver))
        self.failure = replace(self.failure, reported=known)
        self._say("the server knows" if known else "the server does not know this")
        return code

    def _stopped(self, error: BtyError) -> BtyError:
        """Return why the server stopped the flash, where it did, in place of the `error` that came of it."""
        why = self._reporter.stopped_by
        if why is None or isinstance(error, Unreported):
            return error
        if not isinstance(error, Cancelled | ImageUnavailable):
            return error
        why.aftermath = error.aftermath
        return why

    def _patiently(self, action: Callable[[], T]) -> T:
        """Ask the server, again while it cannot be reached and there is patience left."""
        until = time.monotonic() + self._pace.server_patience
        tell = self._once_in_a_while("waits for the server")
        number = 0
        while True:
            try:
                return action()
            except ServerUnreachable as error:
                number += 1
                tell(number, error.message)
                if time.monotonic() > until:
                    raise
                self._pause(self._pace.timing.wait(number))

    def _once_in_a_while(self, what: str) -> Callable[[int, str], None]:
        """Return what tells of failed requests: the first one, and then one line each `say_every` seconds."""
        said_at = float("-inf")

        def tell(number: int, why: str) -> None:
            nonlocal said_at
            if time.monotonic() - said_at >= self._pace.say_every:
                self._say(f"{what}: {why}")
                said_at = time.monotonic()
            else:
                self._note_try(number, why)

        return tell

    def _pause(self, seconds: float) -> None:
        if self._cancel.wait(seconds):
            raise self._reporter.stopped_by or Cancelled("interrupted")

    def _note_try(self, number: int, why: str) -> None:
        self._journal.note(f"{self._name} request {number} failed: {why}")

    def _say(self, text: str) -> None:
        self._journal.say(f"bty: {self._name} {text}")


_REPORT_IT = "this is a bug; please report it with the log"


def _quietly(_number: int, _why: str) -> None:
    """Say nothing of a request that failed."""
