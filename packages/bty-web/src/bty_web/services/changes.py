"""What has changed lately: the rows that pages may show, by their `changed` stamps, and new events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from bty_web.models import Event, Image, Job, Machine

MOST = 1000  # rows of one table that are told one by one
_FOLLOWED: Mapping[str, type[Machine | Image | Job]] = {
    "machines": Machine,
    "images": Image,
    "jobs": Job,
}
# Nothing is left of what was removed, except its event.
_REMOVALS = {"machine.removed": "machines", "image.deleted": "images"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Changes:
    """By topic, the rows and their stamps. A topic in `vague` has changed in ways that name no row."""

    rows: Mapping[str, Mapping[int, int]]
    vague: frozenset[str]


def since(session: Session, stamp: int) -> Changes:
    """Return what has changed after `stamp`, in microseconds since 1970."""
    rows: dict[str, dict[int, int]] = {}
    vague: set[str] = set()
    for topic, table in _FOLLOWED.items():
        query = select(table.id, table.changed).where(table.changed > stamp).limit(MOST + 1)
        found = {row.id: row.changed for row in session.execute(query)}
        if len(found) > MOST:
            vague.add(topic)
        rows[topic] = found
    after = _EPOCH + timedelta(microseconds=max(stamp, 0))
    events = select(Event.id, Event.at, Event.kind).where(Event.at > after).limit(MOST + 1)
    told: dict[int, int] = {}
    for number, at, kind in session.execute(events):
        told[number] = int((at - _EPOCH) / timedelta(microseconds=1))
        if kind in _REMOVALS:
            rows[_REMOVALS[kind]][-number] = told[number]
    rows["events"] = told
    return Changes(rows, frozenset(vague))
