"""Background work as rows: whoever does it holds a lease; when that runs out, somebody else may."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.orm import Session

from bty_core.errors import BtyError
from bty_web.errors import Conflict, NotFound
from bty_web.models import Job, Lease
from bty_web.models.words import JobState
from bty_web.services.addresses import told, without_secrets
from bty_web.services.clock import change_stamp
from bty_web.services.history import Actor

LEASE = timedelta(seconds=60)
TRIES = 3
LOST = timedelta(seconds=30)  # a job that is queued for so long has fallen out of the queue
KEPT = timedelta(days=30)


def add(
    session: Session,
    kind: str,
    subject: str,
    arguments: Mapping[str, Any],
    *,
    by: Actor,
    now: datetime,
) -> Job:
    """Add a job; it is to be queued when the transaction is committed."""
    job = Job(
        kind=kind,
        subject=subject[:255],
        arguments=dict(arguments),
        state=JobState.QUEUED,
        done_bytes=0,
        tries=0,
        asked_by=by.name[:80],
        created_at=now,
        changed=change_stamp(),
    )
    session.add(job)
    session.flush()
    return job


def get(session: Session, number: int, *, lock: bool = False) -> Job:
    """Return a job, with `lock` for changing it; raise `NotFound`."""
    job = session.get(Job, number, with_for_update=lock, populate_existing=lock)
    if job is None:
        raise NotFound(f"there is no job {number}")
    return job


def claim(session: Session, number: int, owner: str, now: datetime) -> Job | None:
    """Return the job if `owner` may do it now: nobody else holds it, and it has not been tried too often."""
    free = or_(
        Job.state == JobState.QUEUED,
        and_(Job.state == JobState.RUNNING, Job.lease_until < now),
    )
    taken: Any = session.execute(
        update(Job)
        .where(Job.id == number, free)
        .values(
            state=JobState.RUNNING,
            owner=owner,
            lease_until=now + LEASE,
            tries=Job.tries + 1,
            changed=change_stamp(),
        )
        .execution_options(synchronize_session=False)
    )
    if taken.rowcount != 1:
        return None
    job = session.get(Job, number, populate_existing=True)
    if job is not None and job.cancel_asked_at is not None:
        _end(job, JobState.CANCELLED, now)
        return None
    if job is not None and job.tries > TRIES:
        _end(job, JobState.FAILED, now)
        job.code, job.message = "worker-died", f"{TRIES} workers have died over this"
        job.hint = "the server's log says more; try it again"
        return None
    return job


def renew(
    session: Session, number: int, owner: str, now: datetime, done: int, total: int | None
) -> bool:
    """Keep the lease and note how far the work is; False when it is to stop: cancelled, or no longer ours."""
    mine = (Job.id == number, Job.owner == owner, Job.state == JobState.RUNNING)
    kept: Any = session.execute(
        update(Job)
        .where(*mine)
        .values(lease_until=now + LEASE, done_bytes=done, total_bytes=total, changed=change_stamp())
        .execution_options(synchronize_session=False)
    )
    if kept.rowcount != 1:
        return False
    asked = select(Job.cancel_asked_at).where(Job.id == number)
    return session.scalar(asked) is None


def _mine(session: Session, number: int, owner: str) -> Job | None:
    job = session.get(Job, number, with_for_update=True, populate_existing=True)
    mine = job is not None and job.owner == owner and job.state is JobState.RUNNING
    return job if mine else None


def _end(job: Job, state: JobState, now: datetime) -> None:
    job.state, job.ended_at, job.lease_until = state, now, None
    if url := job.arguments.get("url"):  # nobody fetches it any more
        job.arguments = {**job.arguments, "url": without_secrets(str(url))}
    job.changed = change_stamp()


def finish(
    session: Session, number: int, owner: str, now: datetime, result: dict[str, Any] | None = None
) -> bool:
    """End a job well, if it is still `owner`'s."""
    job = _mine(session, number, owner)
    if job is None:
        return False
    _end(job, JobState.DONE, now)
    job.result = result
    job.done_bytes = job.total_bytes or job.done_bytes
    return True


def fail(session: Session, number: int, owner: str, now: datetime, error: BtyError) -> bool:
    """End a job badly, if it is still `owner`'s; cancelled where somebody asked for that."""
    job = _mine(session, number, owner)
    if job is None:
        return False
    cancelled = job.cancel_asked_at is not None
    url = str(job.arguments.get("url", ""))
    _end(job, JobState.CANCELLED if cancelled else JobState.FAILED, now)
    job.code, job.message = error.code, told(error.message, url)[:2000]
    job.hint = told(error.hint, url) if error.hint else None
    return True


def release(session: Session, number: int, owner: str) -> None:
    """Give a job back unfinished, because its worker is about to end; that is no try."""
    job = _mine(session, number, owner)
    if job is not None:
        job.state, job.owner, job.lease_until = JobState.QUEUED, None, None
        job.tries -= 1
        job.changed = change_stamp()


def ask_to_cancel(job: Job, *, now: datetime) -> None:
    """Let a job stop; raise `Conflict` where it has ended."""
    match job.state:
        case JobState.QUEUED:
            _end(job, JobState.CANCELLED, now)
        case JobState.RUNNING:
            job.cancel_asked_at = job.cancel_asked_at or now
            job.changed = change_stamp()
        case _:
            raise Conflict(f"job {job.id} has ended: it is {job.state}")


def lost(session: Session, now: datetime) -> list[int]:
    """Return the jobs that nobody does: their worker died, or the queue forgot them."""
    query = select(Job.id).where(
        or_(
            and_(Job.state == JobState.QUEUED, Job.created_at < now - LOST),
            and_(Job.state == JobState.RUNNING, Job.lease_until < now),
        )
    )
    return list(session.scalars(query.order_by(Job.id).limit(200)))


def newest(session: Session, *, kind: str | None = None, limit: int = 50) -> list[Job]:
    """Return jobs, the newest first."""
    query = select(Job).order_by(Job.id.desc()).limit(limit)
    return list(session.scalars(query.where(Job.kind == kind) if kind else query))


def forget(session: Session, now: datetime) -> None:
    """Remove jobs that ended long ago."""
    session.execute(delete(Job).where(Job.ended_at < now - KEPT))


def take(session: Session, name: str, owner: str, now: datetime, length: timedelta) -> bool:
    """Take or keep the right called `name` for `length`; False while somebody else has it."""
    lease = session.get(Lease, name, with_for_update=True)
    if lease is None:
        session.add(Lease(name=name, owner=owner, until=now + length))
        session.flush()
        return True
    if lease.owner != owner and lease.until > now:
        return False
    lease.owner, lease.until = owner, now + length
    return True
