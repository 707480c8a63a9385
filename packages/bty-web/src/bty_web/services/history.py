"""Events: what a person wants to read in a month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from bty_web.models import Attempt, Event, Machine

LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and from where."""

    name: str  # a user, "token LABEL", "machine" or "bty"
    address: str | None = None


BTY = Actor("bty")
# No user is called so: the tokens of a user named bty are others.
COMMAND_LINE = Actor("command line")


def record(
    session: Session,
    kind: str,
    message: str,
    *,
    by: Actor,
    now: datetime,
    subject: str = "",
    machine: Machine | None = None,
    attempt: Attempt | None = None,
) -> Event:
    """Add one event; `subject` is what it is about, where that is not a machine."""
    event = Event(
        at=now,
        kind=kind,
        actor=by.name[:100],
        address=by.address,
        machine_id=machine.id if machine else None,
        attempt_id=attempt.id if attempt else None,
        subject=(machine.title if machine else subject)[:255],
        message=message[:LONGEST],
    )
    session.add(event)
    return event


def record_seldom(
    session: Session,
    kind: str,
    message: str,
    *,
    by: Actor,
    now: datetime,
    subject: str = "",
    machine: Machine | None = None,
    every: timedelta = timedelta(minutes=10),
) -> None:
    """Add an event unless the same address caused this kind lately: a stranger cannot fill the table."""
    lately = select(Event.id).where(
        Event.kind == kind, Event.address == by.address, Event.at > now - every
    )
    if session.scalar(lately.limit(1)) is None:
        record(session, kind, message, by=by, now=now, subject=subject, machine=machine)


def forget(session: Session, *, older_than: timedelta, now: datetime) -> int:
    """Remove old events; return how many."""
    result = session.execute(delete(Event).where(Event.at < now - older_than))
    return int(getattr(result, "rowcount", 0))
