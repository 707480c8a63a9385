"""Whose turn it is to write: a limit on the machines that are flashed at once, and a queue of those that wait.

An attempt under way waits when it has asked (`queued_at`) and has no turn (`turn_at`). Both its place and its turn
lapse (`lapses_at`) when nothing is heard of it; a report renews them, so that whoever has begun to write goes on and
is counted again. An attempt that has ended holds nothing, because only those under way are looked at.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import and_, func, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from bty_core.wire.reports import TURN_SECONDS
from bty_web.models import Attempt
from bty_web.models.words import UNDER_WAY

LAPSE = timedelta(seconds=TURN_SECONDS)
_ONE_AT_A_TIME = 0x627479  # the number of an advisory lock; nothing else takes one of ours
_SOONEST, _LATEST = 3, 30  # seconds until somebody who waits asks again


def ask(session: Session, attempt: Attempt, *, limit: int, now: datetime) -> int | None:
    """Give `attempt` its turn to write, and return None; or its place in the queue, 1 for the next one.

    `limit` is how many may have a turn at once, 0 for as many as ask. To be called in a unit of work
    that writes: of two who ask for the last turn, one gets it.
    """
    if attempt.turn_at is not None and _lapsed(attempt, now):
        attempt.turn_at = None
    attempt.queued_at = attempt.queued_at or now
    attempt.lapses_at = now + LAPSE
    if attempt.turn_at is not None:
        return None
    if limit == 0:
        attempt.turn_at = now
        return None
    _alone(session)
    free = limit - _count(session, _holds(now), Attempt.id != attempt.id)
    ahead = _count(session, _waits(now), _before(attempt))
    if ahead >= free:
        return ahead + 1
    attempt.turn_at = now
    return None


def ask_again_seconds(position: int) -> int:
    """Return after how many seconds somebody at `position` asks again: those far behind ask seldom."""
    return min(max(position + 2, _SOONEST), _LATEST)


def writes(attempt: Attempt, now: datetime) -> bool:
    """Note that `attempt` writes; return False where it never waited for its turn."""
    waited = attempt.turn_at is not None
    attempt.queued_at = attempt.queued_at or now
    attempt.turn_at = attempt.turn_at or now
    attempt.lapses_at = now + LAPSE
    return waited


def give_up(attempt: Attempt) -> None:
    """Take `attempt` out of the queue, or its turn away."""
    attempt.queued_at = attempt.turn_at = attempt.lapses_at = None


def positions(session: Session, attempts: list[Attempt], now: datetime) -> dict[int, int]:
    """Return the places in the queue of those of `attempts` that wait, by their numbers."""
    if not any(one.queued_at and not one.turn_at and one.state in UNDER_WAY for one in attempts):
        return {}
    waiting = select(Attempt.id).where(_waits(now)).order_by(Attempt.queued_at, Attempt.id)
    found = {number: at for at, number in enumerate(session.scalars(waiting), start=1)}
    return {one.id: found[one.id] for one in attempts if one.id in found}


def renew(session: Session, now: datetime) -> None:
    """Let nothing lapse that could not be renewed while the server was away."""
    held = Attempt.lapses_at.is_not(None) & Attempt.state.in_([*UNDER_WAY])
    session.execute(update(Attempt).where(held).values(lapses_at=now + LAPSE))


def _lapsed(attempt: Attempt, now: datetime) -> bool:
    return attempt.lapses_at is None or attempt.lapses_at <= now or attempt.state not in UNDER_WAY


def _count(session: Session, *conditions: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(Attempt).where(*conditions)) or 0


def _holds(now: datetime) -> ColumnElement[bool]:
    return and_(
        Attempt.state.in_([*UNDER_WAY]), Attempt.turn_at.is_not(None), Attempt.lapses_at > now
    )


def _waits(now: datetime) -> ColumnElement[bool]:
    return and_(
        Attempt.state.in_([*UNDER_WAY]),
        Attempt.queued_at.is_not(None),
        Attempt.turn_at.is_(None),
        Attempt.lapses_at > now,
    )


def _before(attempt: Attempt) -> ColumnElement[bool]:
    return (Attempt.queued_at < attempt.queued_at) | (
        (Attempt.queued_at == attempt.queued_at) & (Attempt.id < attempt.id)
    )


def _alone(session: Session) -> None:
    """Wait for others who ask. On SQLite whoever writes is alone already."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
