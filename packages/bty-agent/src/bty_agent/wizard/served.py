"""A wizard with a server: its catalog, and an attempt for each flash that the server can watch."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic

from bty_agent.host import Host
from bty_agent.server.client import ServerClient
from bty_agent.server.errors import AttemptOver, ServerRefused, TokenRefused
from bty_agent.server.reporter import Reporter
from bty_agent.unattended.job import provisioner_of_plan
from bty_agent.unattended.pace import pace_here
from bty_agent.unattended.workshop import Workshop
from bty_agent.wizard.answers import Answer, Images, LocalSet, NoServer
from bty_agent.wizard.catalog import server_offers
from bty_agent.wizard.offers import Offer, Setup
from bty_agent.wizard.sessions import OnPosition, OnTry
from bty_agent.wizard.work import trouble
from bty_core.disks.model import Disk
from bty_core.errors import BtyError
from bty_core.events import Done, Event
from bty_core.flash.plan import FlashPlan
from bty_core.provisioning.job import Provisioner
from bty_core.wire.plan import Provisioning, ProvisioningMode, Workflow
from bty_core.wire.reports import DoneReport, FailedReport, ProgressReport, ReportedPhase

# A person waits for the first answers, and goes on; a report that could not be given is tried behind the scenes.
_AT_ONCE = 3.0
_ASKED = 15.0
_IN_THE_END = 600.0


class Served:
    """Reports to one server. What cannot be reported is kept from the person only while it does not matter."""

    def __init__(self, host: Host, client: ServerClient, run_dir: Path) -> None:
        """Nothing is asked yet. `run_dir` gets what a workflow of the server needs and leaves."""
        self.address: str | None = client.base_url
        self._host, self._client = host, client
        self._workshop = Workshop(folder=run_dir / "wizard", mac=client.mac, fetch=self._workflow)
        self._given: Provisioning | None = None  # what is secret is given out once
        self._timing = pace_here().timing
        self._reporter: Reporter | None = None
        self._cancel = threading.Event()
        self._report: DoneReport | None = None  # what the server does not know yet
        self._ended = False  # the newest attempt has an end
        self._opening = threading.Lock()
        self._inventory_known = False
        self._seen_alive = False
        self._reason_told = False
        self._lock: socket.socket | None = None
        self._behind: list[threading.Thread] = []
        if client.token is not None and not self._first_to_use(client):
            client.token = client.attempt = None

    def look(self) -> Answer:
        """Return the catalog; the attempt is opened meanwhile."""
        try:
            images = server_offers(self._client.images())
            found = Images(images, self._reason())
        except BtyError as error:
            return NoServer(trouble(error))
        self._in_background(self._ensure)
        return found

    def _reason(self) -> str | None:
        """Return once why this machine got the wizard and not what it is assigned."""
        if self._reason_told:
            return None
        self._reason_told = True
        try:
            return self._client.plan().reason
        except ServerRefused:
            return None  # the server has not seen this machine yet, or its attempt is over

    def setups(self) -> tuple[Setup, ...]:
        """Return what the server would set up on this machine's disk; nothing where it cannot be asked."""
        try:
            mode = self._client.plan().provisioning.mode
        except BtyError:
            return ()
        if mode is ProvisioningMode.NONE:
            return ()
        return (Setup(mode, "of the server", served=True),)

    def provisioner(self, setup: Setup) -> Provisioner | None:  # noqa: ARG002 - there is one
        """Return what sets up as the server wants it; raise `BtyError` where it may not or cannot."""
        self._ensure()
        if self._given is None:
            given = self._client.provisioning()
            if given.withheld is not None:
                return provisioner_of_plan(given, self._workshop)
            self._given = given
        return provisioner_of_plan(self._given, self._workshop)

    def _workflow(self, offer: Workflow) -> bytes:
        return self._client.workflow(offer)  # of the attempt that there is now

    def hand_over(self) -> None:
        """Send what a workflow of the server left; what cannot be sent stays here."""
        with suppress(BtyError, OSError):
            report = self._workshop.report()
            if report is not None:
                self._client.report(report)

    def picked(self, image: Offer | None, disk: Disk | None) -> None:
        """Say what a person has chosen so far."""
        self._in_background(lambda: self._ensure(image, disk))

    def begin(self, plan: FlashPlan) -> threading.Event:
        """A flash begins; the event that is returned is set when the server wants it to stop."""
        self._report = None
        self._ensure(None, plan.disk, name=plan.image.name)
        return self._cancel

    def wait_for_turn(self, on_position: OnPosition, on_try: OnTry) -> None:
        """Wait until the server lets this machine write; raise `BtyError` where it will not."""
        if self._reporter is not None:
            self._reporter.wait_for_turn(on_position, on_try)

    def emit(self, event: Event) -> None:
        """Pass on what the engine says."""
        if self._reporter is not None:
            self._reporter.emit(event)

    def waits(self) -> None:
        """The person thinks again; a turn is given up."""
        if self._reporter is not None:
            self._reporter.waiting()

    @property
    def stopped_by(self) -> BtyError | None:
        """Why the server wanted the flash to stop, or None."""
        return self._reporter.stopped_by if self._reporter else None

    def done(self, plan: FlashPlan, done: Done, on_try: OnTry) -> bool | None:
        """Report the flash; where that fails, it is tried again behind the scenes."""
        self._ended = True
        self._report = DoneReport(
            image=plan.image.name,
            disk=str(plan.disk.path),
            bytes_written=done.bytes_written,
            seconds=done.seconds,
        )
        if self._insist(_AT_ONCE, on_try):
            return True
        self._in_background(lambda: self._insist(_IN_THE_END, _silent), waited_for=False)
        return False

    def failed(self, error: BtyError) -> None:
        """Report that the flash failed; the next one is another attempt."""
        reporter, self._reporter = self._reporter, None
        if reporter is not None and self._client.token is not None:
            told = FailedReport(code=error.code, message=error.message, hint=error.hint)
            self._in_background(lambda: reporter.give_up(told, _ASKED, _silent))
            self._client = self._another()

    def tell(self, on_try: OnTry) -> bool:
        """Report again what the server does not know; return whether it does now."""
        return self._report is None or self._insist(_ASKED, on_try)

    def set_local(self) -> LocalSet:
        """Let the machine start from its own disk."""
        try:
            self._client.set_local()
        except BtyError as error:
            return LocalSet(trouble(error))
        return LocalSet()

    def another(self) -> None:
        """The next flash is another attempt."""
        if self._reporter is not None:
            self._reporter.close()
        self._reporter = None
        self._client = self._another()

    def close(self) -> None:
        """Report nothing more; an attempt that came to nothing is given back."""
        reporter = self._reporter
        if reporter is not None:
            if self._ended:
                reporter.close()
            else:
                left = FailedReport(code="cancelled", message="the person left the wizard")
                self._in_background(lambda: reporter.give_up(left, 0, _silent))
        until = monotonic() + _AT_ONCE
        for thread in self._behind:
            thread.join(max(until - monotonic(), 0))
        if self._lock is not None:
            self._lock.close()

    def _insist(self, patience: float, on_try: OnTry) -> bool:
        report = self._report
        if report is None:
            return True
        if self._client.token is None:
            # The server has never heard of this flash: it was away from the beginning.
            self._ensure(None, None)
        if self._reporter is None or self._client.token is None:
            on_try(1, "it cannot be reached")
            return False
        told = self._reporter.finish(report, patience, on_try)
        if told and self._report is report:  # not the one of another flash, which began meanwhile
            self._report = None
        return told

    def _ensure(
        self, image: Offer | None = None, disk: Disk | None = None, *, name: str | None = None
    ) -> None:
        """Have an attempt and somebody who reports, as far as the server can be reached."""
        with self._opening:
            reporter = self._reporter
            if reporter is not None and reporter.stopped_by is not None:
                # The attempt has ended on the server's side while a person was thinking.
                reporter.close()
                self._reporter = reporter = None
                self._client = self._another()
            if reporter is None:
                # Whoever stopped the last flash did not stop this one, also where the server is away.
                self._cancel = threading.Event()
            try:
                self._open()
            except BtyError:
                return
            if reporter is None:
                self._ended = False
                reporter = Reporter(self._client, cancel=self._cancel, timing=self._timing)
                self._reporter = reporter.__enter__()
            reporter.about(image=name or (image.name if image else None), disk=disk)
            reporter.about(console=self._host.console)
            reporter.waiting()

    def _open(self) -> None:
        """Have an attempt that is not over; the first one brings the inventory."""
        client = self._client
        if client.token is not None and not self._seen_alive:
            try:
                client.progress(ProgressReport(phase=ReportedPhase.WAITING))
            except (AttemptOver, TokenRefused):
                client.token = None  # that of the kernel command line: a flash that failed
        if client.token is None:
            client.open_attempt(self._host.console)
        self._seen_alive = True
        if not self._inventory_known:
            with suppress(ServerRefused):  # the flash does not depend on it
                client.inventory(self._host.inventory())
            self._inventory_known = True

    def _another(self) -> ServerClient:
        self._given = None
        return ServerClient(self._client.base_url, self._client.mac)

    def _first_to_use(self, client: ServerClient) -> bool:
        """Whether no other console of this machine reports for the attempt of the kernel command line."""
        self._lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._lock.bind(f"\0bty-attempt-{client.mac}-{client.attempt}")
        except OSError:
            return False
        return True

    def _in_background(self, action: Callable[[], object], *, waited_for: bool = True) -> None:
        def run() -> None:
            with suppress(BtyError):
                action()

        thread = threading.Thread(target=run, name="bty-wizard-server", daemon=True)
        thread.start()
        if waited_for:
            self._behind.append(thread)


def _silent(number: int, why: str) -> None:
    """Say nothing."""
