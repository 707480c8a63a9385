"""What a machine says of its attempt: how far it is, and how it ended."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bty_core.wire.reports import (
    DoneReport,
    FailedReport,
    ProgressAnswer,
    ProgressReport,
    ReportedPhase,
)
from bty_web.models import Attempt, Image, Machine
from bty_web.models.words import BEGUN, AttemptMode, State, Trigger
from bty_web.services import access, machines, runs, turns
from bty_web.services.attempts import ended
from bty_web.services.history import Actor, record

_TOKEN = re.compile(r"bty\.token=[^\s'\"]*")
_MOVES = {
    ReportedPhase.WAITING: State.QUEUED,
    ReportedPhase.QUEUED: State.QUEUED,
    ReportedPhase.WRITING: State.RUNNING,
    ReportedPhase.RETRYING: State.RUNNING,
    ReportedPhase.VERIFYING: State.VERIFYING,
    ReportedPhase.FINISHING: State.VERIFYING,
    ReportedPhase.PROVISIONING: State.PROVISIONING,
}


def progress(
    session: Session,
    machine: Machine,
    attempt: Attempt,
    report: ProgressReport,
    *,
    flash_limit: int,
    now: datetime,
) -> ProgressAnswer:
    """Take a sign of life, and give a turn to write to who asks for it.

    `flash_limit` is how many may have one at once, 0 for all. Raises `AttemptEnded` for an attempt
    that is over and cannot go on.
    """
    if attempt.state is State.CANCELLED:
        return ProgressAnswer(cancel=True)
    if attempt.state in (State.DONE, State.FAILED):
        raise ended(attempt)
    state = _MOVES[report.phase]
    position = _turn(session, machine, attempt, report.phase, flash_limit, now)
    if state in BEGUN and attempt.state not in BEGUN:
        record(
            session,
            "attempt.started",
            f"attempt {attempt.id} ({attempt.mode}) began",
            by=Actor("machine", attempt.client),
            now=now,
            machine=machine,
            attempt=attempt,
        )
    moved = report.disk_bytes - attempt.disk_bytes
    elapsed = (now - attempt.heard_at).total_seconds()
    if report.phase.value != attempt.phase or moved < 0:
        attempt.bytes_per_second = None
    elif elapsed > 0:
        attempt.bytes_per_second = min(int(moved / elapsed), 2**62)
    attempt.state = state
    attempt.ended_at = None
    attempt.phase = report.phase.value
    attempt.source_bytes = report.source_bytes
    attempt.disk_bytes = report.disk_bytes
    attempt.total_bytes = report.total_bytes
    attempt.bottleneck = report.bottleneck
    attempt.try_number = report.try_number
    _chosen(session, attempt, report)
    attempt.heard_at = now
    machine.last_seen_at = now
    machine.last_seen_ip = attempt.client or machine.last_seen_ip
    machines.touch(machine)
    return ProgressAnswer(
        cancel=attempt.cancel_asked_at is not None,
        queue_position=position,
        ask_again_seconds=turns.ask_again_seconds(position) if position else None,
    )


def _turn(
    session: Session,
    machine: Machine,
    attempt: Attempt,
    phase: ReportedPhase,
    limit: int,
    now: datetime,
) -> int | None:
    """Move `attempt` in the queue of those that want to write; return its place, None where it may go on."""
    if phase is ReportedPhase.QUEUED:
        return turns.ask(session, attempt, limit=limit, now=now)
    if phase is ReportedPhase.WAITING:
        turns.give_up(attempt)
    elif phase is ReportedPhase.RETRYING and attempt.turn_at is None:
        pass  # what it tries again comes before the writing
    elif not turns.writes(attempt, now) and limit:
        record(
            session,
            "attempt.unqueued",
            f"attempt {attempt.id} writes without having waited for its turn",
            by=Actor("machine", attempt.client),
            now=now,
            machine=machine,
            attempt=attempt,
        )
    return None


def _chosen(session: Session, attempt: Attempt, report: ProgressReport) -> None:
    """Keep what was chosen where; what a report leaves out stays, and so does an image that was assigned."""
    chosen = attempt.mode is AttemptMode.INTERACTIVE and report.image is not None
    if chosen and report.image != attempt.image:
        known = select(Image.sha256).where(Image.name == report.image)
        attempt.image, attempt.image_sha256 = report.image, session.scalar(known)
    if report.disk is not None:
        attempt.disk = str(report.disk.path)
        attempt.disk_details = report.disk.wire()
    if report.console is not None:
        attempt.console = report.console


def done(
    session: Session, machine: Machine, attempt: Attempt, report: DoneReport, now: datetime
) -> int | None:
    """End `attempt` well; said twice it counts once. The boot policy is never changed.

    Returns the job of the run that follows, which is to be queued, or None.
    """
    if attempt.state is State.DONE:
        return None
    if attempt.state in (State.FAILED, State.CANCELLED):
        raise ended(attempt)
    attempt.state = State.DONE
    attempt.phase = None
    attempt.image = report.image[-255:]
    if attempt.disk != report.disk:
        attempt.disk, attempt.disk_details = report.disk, None
    attempt.bytes_written = report.bytes_written
    attempt.seconds = report.seconds
    attempt.disk_bytes = attempt.total_bytes or attempt.disk_bytes
    attempt.heard_at = attempt.ended_at = now
    machine.last_flashed_at = machine.last_seen_at = now
    if attempt.trigger is Trigger.REFLASH:
        machine.reflash_armed_at = None
    machines.touch(machine)
    record(
        session,
        "attempt.done",
        f"{attempt.image} is on {report.disk}, after {report.seconds:.0f} s",
        by=Actor("machine", attempt.client),
        now=now,
        machine=machine,
        attempt=attempt,
    )
    access.flashed(session, machine, attempt)
    if attempt.online_state != runs.EXPECTED:
        return None
    return runs.after_flash(session, machine, attempt, now).job_id


def failed(
    session: Session, machine: Machine, attempt: Attempt, report: FailedReport, now: datetime
) -> None:
    """End `attempt` badly; said twice it counts once."""
    if attempt.state in (State.FAILED, State.CANCELLED) and attempt.code == report.code:
        return
    if attempt.state is State.DONE or attempt.state in (State.FAILED, State.CANCELLED):
        raise ended(attempt)
    cancelled = attempt.cancel_asked_at is not None or report.code == "cancelled"
    attempt.state = State.CANCELLED if cancelled else State.FAILED
    attempt.code, attempt.message, attempt.hint = report.code, report.message, report.hint
    attempt.log = redacted(report.log)
    attempt.heard_at = attempt.ended_at = now
    machine.last_seen_at = now
    machines.touch(machine)
    record(
        session,
        "attempt.cancelled" if cancelled else "attempt.failed",
        report.message,
        by=Actor("machine", attempt.client),
        now=now,
        machine=machine,
        attempt=attempt,
    )


def redacted(log: str | None) -> str | None:
    """Return a machine's log without tokens: they stand on its kernel command line."""
    if log is None:
        return None
    return _TOKEN.sub("bty.token=REDACTED", log)
