"""Runs on machines that have started their own system: begun, followed, ended, and what they found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from bty_core.errors import BtyError, Cancelled
from bty_web.errors import Conflict, NotFound
from bty_web.models import Attempt, Job, Machine, Run
from bty_web.models.words import RUN_UNDER_WAY, RunKind, RunState, State
from bty_web.services import access, facts, jobs
from bty_web.services.clock import change_stamp
from bty_web.services.facts import Change
from bty_web.services.history import BTY, Actor, record
from bty_web.services.machines import touch

JOB = "online"
EXPECTED = "expected"  # the attempt is seeded; its run begins when it is done
KEPT = 100  # of each machine


@dataclass(frozen=True, slots=True)
class Drift:
    """What is different between two runs of the same machine, or of machines with the same assignment."""

    of: Run
    against: Run
    changes: Sequence[Change]


def get(session: Session, number: int, *, lock: bool = False) -> Run:
    """Return a run, with `lock` for changing it; raise `NotFound`."""
    run = session.get(Run, number, with_for_update=lock, populate_existing=lock)
    if run is None:
        raise NotFound(f"there is no run {number}")
    return run


def after_flash(session: Session, machine: Machine, attempt: Attempt, now: datetime) -> Run:
    """Begin the run of the workflow that `attempt` was given; its job is to be queued afterwards."""
    run = Run(
        machine_id=machine.id,
        attempt_id=attempt.id,
        kind=RunKind.WORKFLOW,
        revision=attempt.revision,
        image=attempt.image,
        image_sha256=attempt.image_sha256,
        workflow=attempt.workflow,
        asked_by=BTY.name,
        told="waits until the machine has started its own system",
    )
    return _begin(session, machine, run, BTY, now)


def check_now(session: Session, machine: Machine, *, by: Actor, now: datetime) -> Run:
    """Begin to collect the facts of a machine again; raise `Conflict` where that cannot be."""
    if baseline(session, machine) is None:
        raise Conflict(
            f"{machine.title} has no known-good baseline to compare with",
            hint="flash it with the provisioning mode cijoe-online",
        )
    going_on = under_way(session, machine)
    if going_on is not None:
        raise Conflict(f"run {going_on.id} on {machine.title} is under way", hint="wait for it")
    image, sha256 = _on_disk(session, machine)
    run = Run(
        machine_id=machine.id,
        attempt_id=None,
        kind=RunKind.CHECK,
        revision=machine.revision,
        image=image,
        image_sha256=sha256,
        asked_by=by.name[:80],
        told="asks the machine for its facts",
    )
    return _begin(session, machine, run, by, now)


def under_way(session: Session, machine: Machine) -> Run | None:
    """Return the run on `machine` that has not ended, or None."""
    mine = select(Run).where(Run.machine_id == machine.id, Run.state.in_([*RUN_UNDER_WAY]))
    return session.scalar(mine.order_by(Run.id.desc()).limit(1))


def cancel(session: Session, run: Run, *, by: Actor, now: datetime) -> None:
    """Let a run stop; raise `Conflict` where it has ended."""
    if run.state.over:
        raise Conflict(f"run {run.id} has ended: it is {run.state}")
    job = session.get(Job, run.job_id) if run.job_id else None
    machine = session.get(Machine, run.machine_id)
    record(session, "run.cancel", f"run {run.id} is to stop", by=by, now=now, machine=machine)
    if job is not None and not job.state.over:
        jobs.ask_to_cancel(job, now=now)
    if job is None or job.state.over:  # nobody has begun, so that nobody else can end it
        _give_up(session, run, now, cancelled=True)
        return
    run.told = "is being stopped"
    _touch(session, run)


def all_under_way(session: Session) -> set[int]:
    """Return the numbers of all runs that have not ended."""
    return set(session.scalars(select(Run.id).where(Run.state.in_([*RUN_UNDER_WAY]))))


def end_what_nobody_does(session: Session, now: datetime) -> list[int]:
    """End the runs whose jobs are over, and return their numbers."""
    query = (
        select(Run, Job.cancel_asked_at)
        .outerjoin(Job, Job.id == Run.job_id)
        .where(Run.state.in_([*RUN_UNDER_WAY]), or_(Job.id.is_(None), Job.ended_at.is_not(None)))
    )
    found = session.execute(query.limit(50)).all()
    for run, cancel_asked_at in found:
        _give_up(session, run, now, cancelled=cancel_asked_at is not None)
    return [run.id for run, _ in found]


def _give_up(session: Session, run: Run, now: datetime, *, cancelled: bool) -> None:
    access.destroyed(session, run.attempt_id or 0)
    died = BtyError("the process that did this run has ended", hint="flash the machine again")
    error = Cancelled("the run was stopped") if cancelled else died
    left = run.kind is RunKind.WORKFLOW
    end(session, run.id, now, error=error, access_left=left)


def move(
    session: Session,
    number: int,
    state: RunState,
    told: str,
    *,
    step: int | None = None,
    steps: int | None = None,
) -> None:
    """Say where a run is and what happens now."""
    run = get(session, number, lock=True)
    run.state, run.told = state, told[:500]
    if step is not None:
        run.step, run.steps = step, steps
    _touch(session, run)


def grows(session: Session, number: int) -> None:
    """Let pages see that the log of a run has grown."""
    _touch(session, get(session, number, lock=True))


def answered(session: Session, number: int, address: str, now: datetime) -> None:
    """Note where the machine answered."""
    run = get(session, number, lock=True)
    run.address, run.answered_at = address[:255], now
    _touch(session, run)


def end(
    session: Session,
    number: int,
    now: datetime,
    *,
    error: BtyError | None = None,
    found: facts.Facts | None = None,
    access_left: bool = False,
) -> None:
    """End a run: well, with an error, or with `Cancelled` because somebody wanted it to stop."""
    run = get(session, number, lock=True)
    run.state = RunState.DONE if error is None else RunState.FAILED
    if isinstance(error, Cancelled):
        run.state = RunState.CANCELLED
    run.ended_at, run.told = now, None
    run.facts = found
    run.access_left = access_left
    if error is not None:
        run.code, run.message = error.code, error.message[:2000]
        run.hint = error.hint[:2000] if error.hint else None
    _touch(session, run)
    machine = session.get(Machine, run.machine_id)
    what = f"the workflow {run.workflow}" if run.kind is RunKind.WORKFLOW else "the check"
    kind, how = {
        RunState.DONE: ("run.done", "ended well"),
        RunState.CANCELLED: ("run.cancelled", "was cancelled"),
    }.get(run.state, ("run.failed", f"failed: {run.message}"))
    told = f"{what} {how}"
    if access_left:
        told += "; its key is still on the machine, and opens nothing any more"
    attempt = session.get(Attempt, run.attempt_id) if run.attempt_id else None
    record(session, kind, told, by=BTY, now=now, machine=machine, attempt=attempt)


def newest(
    session: Session,
    *,
    machine: Machine | None = None,
    workflow: str | None = None,
    limit: int = 50,
) -> list[Run]:
    """Return runs, the newest first: of a machine, or of all versions of a workflow."""
    query = select(Run).order_by(Run.id.desc()).limit(limit)
    if machine is not None:
        query = query.where(Run.machine_id == machine.id)
    if workflow is not None:
        query = query.where(Run.workflow.startswith(f"{workflow}@", autoescape=True))
    return list(session.scalars(query))


def baseline(session: Session, machine: Machine, *, before: int | None = None) -> Run | None:
    """Return the newest known-good baseline of a machine, or the one before a run."""
    query = select(Run).where(
        Run.machine_id == machine.id,
        Run.kind == RunKind.WORKFLOW,
        Run.state == RunState.DONE,
        Run.facts.is_not(None),
    )
    if before is not None:
        query = query.where(Run.id < before)
    return session.scalar(query.order_by(Run.id.desc()).limit(1))


def last_check(session: Session, machine: Machine) -> Run | None:
    """Return the newest check that was done after the newest baseline, or None."""
    known = baseline(session, machine)
    if known is None:
        return None
    query = select(Run).where(
        Run.machine_id == machine.id,
        Run.kind == RunKind.CHECK,
        Run.state == RunState.DONE,
        Run.id > known.id,
    )
    return session.scalar(query.order_by(Run.id.desc()).limit(1))


def drift(of: Run, against: Run) -> Drift:
    """Return what is different in `of`; both have facts."""
    return Drift(of, against, facts.differences(against.facts or {}, of.facts or {}))


def alike(session: Session, machine: Machine, *, limit: int = 50) -> list[tuple[Machine, Run]]:
    """Return the other machines with the same image and workflow that have a baseline, and that."""
    same = (
        select(Machine)
        .where(
            Machine.id != machine.id,
            Machine.image == machine.image,
            Machine.workflow == machine.workflow,
            Machine.provisioning_mode == machine.provisioning_mode,
        )
        .order_by(Machine.name, Machine.id)
        .limit(limit)
    )
    found = [(other, baseline(session, other)) for other in session.scalars(same)]
    return [(other, known) for other, known in found if known is not None]


def export(run: Run, machine: Machine) -> dict[str, Any]:
    """Return a baseline, or a check, as JSON values."""
    return {
        "schema_version": "1",
        "machine": {"mac": machine.mac, "name": machine.name},
        "run": run.id,
        "kind": run.kind.value,
        "at": run.ended_at.isoformat() if run.ended_at else None,
        "image": {"name": run.image, "sha256": run.image_sha256},
        "workflow": {"name": run.workflow, "sha256": run.workflow_sha256},
        "facts": run.facts,
    }


def can_check(session: Session, machine: Machine) -> bool:
    """Whether there is a way to ask a machine for its facts."""
    return (
        access.checkable(session, machine) is not None
        or access.profile_of(session, _on_disk(session, machine)[0]) is not None
    )


def _on_disk(session: Session, machine: Machine) -> tuple[str | None, str | None]:
    """Return name and digest of the image that is on a machine's disk, as far as anybody knows."""
    flashed = select(Attempt.image, Attempt.image_sha256).where(
        Attempt.machine_id == machine.id, Attempt.state == State.DONE
    )
    found = session.execute(flashed.order_by(Attempt.id.desc()).limit(1)).one_or_none()
    if found is not None:
        return found[0], found[1]
    known = baseline(session, machine)
    return (known.image, known.image_sha256) if known else (None, None)


def forget(session: Session) -> set[int]:
    """Remove old runs of machines with many, but no baseline that is the newest; return those that stay."""
    machines = session.scalars(select(Run.machine_id).distinct()).all()
    for number in machines:
        machine = session.get(Machine, number)
        mine = select(Run.id).where(Run.machine_id == number).order_by(Run.id.desc())
        newer = session.scalars(mine.limit(KEPT)).all()
        known = baseline(session, machine) if machine else None
        if len(newer) == KEPT:
            old = [Run.machine_id == number, Run.id < newer[-1]]
            if known is not None:
                old.append(Run.id != known.id)
            session.execute(delete(Run).where(*old))
    return set(session.scalars(select(Run.id)))


def _begin(session: Session, machine: Machine, run: Run, by: Actor, now: datetime) -> Run:
    run.state = RunState.WAITING
    run.started_at = now
    run.changed = change_stamp()
    session.add(run)
    session.flush()
    job = jobs.add(session, JOB, machine.title, {"run": run.id}, by=by, now=now)
    run.job_id = job.id
    _touch(session, run)
    return run


def _touch(session: Session, run: Run) -> None:
    """Let pages and attempts see where a run is."""
    run.changed = change_stamp()
    attempt = session.get(Attempt, run.attempt_id) if run.attempt_id else None
    if attempt is not None:
        attempt.online_state = run.state.value
    machine = session.get(Machine, run.machine_id)
    if machine is not None:
        touch(machine)
    session.flush()
