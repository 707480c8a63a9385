"""The page of events: who did what, when, from where."""

from __future__ import annotations

from dataclasses import dataclass

from flask import render_template, request
from sqlalchemy import select

from bty_web.extensions import db
from bty_web.models import Event, Machine
from bty_web.security import login_required, settings
from bty_web.services import listing
from bty_web.services.listing import Page
from bty_web.ui.blueprint import bp

# What stands before the dot of an event's kind, as a person calls it.
KINDS = {
    "machine": "Machines",
    "attempt": "Attempts",
    "image": "Images",
    "live": "Live environment",
    "dhcp": "Proxy-DHCP",
    "settings": "Settings",
    "login": "Logins",
    "user": "Users",
    "token": "API tokens",
}
SIZE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One event, and the address of the machine it is about, where that is still there."""

    event: Event
    mac: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsPage:
    """What the page of events shows."""

    rows: list[EventRow]
    page: Page[Event]
    search: str
    kind: str
    days: int
    kinds = KINDS

    @property
    def filtered(self) -> bool:
        """Whether something was looked for."""
        return bool(self.search or self.kind)


@bp.get("/events")
@login_required
def events() -> str:
    """Show one page of events, the newest first."""
    search = request.args.get("q", "").strip()[:200]
    kind = request.args.get("kind", "")
    kind = kind if kind in KINDS else ""
    number = request.args.get("page", 1, type=int)
    found = listing.events(
        db.session(), search=search or None, kind=kind or None, number=number, size=SIZE
    )
    return render_template(
        "events/list.html",
        page=EventsPage(
            rows=_with_machines(found),
            page=found,
            search=search,
            kind=kind,
            days=settings().event_days,
        ),
    )


def _with_machines(found: Page[Event]) -> list[EventRow]:
    wanted = {event.machine_id for event in found.rows if event.machine_id is not None}
    query = select(Machine.id, Machine.mac).where(Machine.id.in_(wanted))
    macs = {row.id: row.mac for row in db.session.execute(query)} if wanted else {}
    return [EventRow(event=event, mac=macs.get(event.machine_id or 0)) for event in found.rows]
