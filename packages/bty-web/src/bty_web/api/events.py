"""Events: who did what, to what, when, from where."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field
from sqlalchemy import select

from bty_web.api import reading
from bty_web.api.fields import Answer, Line, MacText, Page, Paged, omittable
from bty_web.api.operations import Reply, operation
from bty_web.api.paging import page_of
from bty_web.extensions import db
from bty_web.models import Event, Machine
from bty_web.models.words import Scope
from bty_web.services import listing, machines


class EventAnswer(Answer):
    """Something that happened."""

    id: int
    at: AwareDatetime
    kind: str = Field(description="What happened, such as `attempt.done`.")
    actor: str = Field(description="A user, `token LABEL`, `machine` or `bty`.")
    address: str | None
    mac: str | None = Field(
        description="Of the machine that it is about, where that is still there."
    )
    attempt: int | None
    subject: str = Field(description="What it is about, as it was called then.")
    message: str


class EventPage(Page):
    """One page of events, the newest first."""

    items: list[EventAnswer]


class EventQuery(Paged):
    """Which events."""

    search: Line | None = omittable("Words that all occur in message, subject, actor or address.")
    kind: Line | None = omittable("A whole kind, or what stands before its dot.")
    mac: MacText | None = omittable("Those of this machine.")


@operation(
    "GET",
    "/events",
    tag="events",
    scope=Scope.READ,
    query=EventQuery,
    answers={200: EventPage},
    problems=[404],
)
def list_events(query: EventQuery) -> Reply:
    """List events, the newest first."""
    session = db.session()
    mac = reading.mac_address("mac", query.mac) if query.mac else None
    found = listing.events(
        session,
        search=query.search,
        kind=query.kind,
        machine_id=machines.get(session, mac).id if mac else None,
        number=query.page,
        size=query.size,
    )
    ids = {one.machine_id for one in found.rows if one.machine_id is not None}
    macs = {row.id: row.mac for row in session.execute(_macs(ids))} if ids else {}
    return page_of(EventPage, found, [_values(one, macs) for one in found.rows], query)


def _macs(ids: set[int]) -> Any:
    return select(Machine.id, Machine.mac).where(Machine.id.in_(ids))


def _values(event: Event, macs: dict[int, str]) -> dict[str, Any]:
    columns = EventAnswer.model_fields.keys() - {"mac", "attempt"}
    return {
        **{name: getattr(event, name) for name in columns},
        "mac": macs.get(event.machine_id or 0),
        "attempt": event.attempt_id,
    }
