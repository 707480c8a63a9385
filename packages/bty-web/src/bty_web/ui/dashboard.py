"""The first page: what needs attention, what is under way, and how much there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from flask import render_template, url_for
from sqlalchemy.orm import Session

from bty_web.extensions import db
from bty_web.models import Event
from bty_web.security import login_required, settings
from bty_web.services import attention, catalog, listing
from bty_web.services.attention import Counts, Named, Several
from bty_web.services.clock import now
from bty_web.services.listing import MachineFilter, MachineRow, Page
from bty_web.ui.blueprint import bp

RUNNING = 12
EVENTS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """One thing that needs attention. `weight` is bad or warn; `url` shows all of it."""

    weight: str
    title: str
    text: str = ""
    rows: Sequence[Named] = ()
    more: int = 0
    url: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One of the first steps on a new server."""

    title: str
    text: str
    url: str
    done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardPage:
    """What the dashboard shows."""

    concerns: Sequence[Concern]
    running: Page[MachineRow]
    counts: Counts
    events: Sequence[Event]
    steps: Sequence[Step] = field(default_factory=list)

    @property
    def first_steps(self) -> bool:
        """Whether the server is so new that it says what to do first."""
        return not self.counts.machines or not self.counts.images


@bp.get("/")
@login_required
def dashboard() -> str:
    """Show what needs attention first."""
    return render_template("dashboard/dashboard.html", page=_page())


@bp.get("/dashboard/now")
@login_required
def dashboard_now() -> str:
    """Show the same alone, for a page that follows it."""
    return render_template("dashboard/_now.html", page=_page())


def _page() -> DashboardPage:
    session = db.session()
    counts = attention.counts(session, now())
    active = MachineFilter(state="active")
    return DashboardPage(
        concerns=_concerns(session),
        running=listing.machines(session, active, sort="name", size=RUNNING),
        counts=counts,
        events=listing.events(session, size=EVENTS).rows,
        steps=_steps(counts),
    )


def _concerns(session: Session) -> list[Concern]:
    at, in_force = now(), settings()
    found: list[Concern] = []
    if why := attention.live_environment(in_force):
        found.append(
            Concern(
                weight="bad",
                title="No live environment",
                text=why,
                url=url_for("ui.live"),
                link="Upload it",
            )
        )
    if why := catalog.health(in_force.image_root):
        found.append(
            Concern(
                weight="bad",
                title="The images cannot be read",
                text=why,
                url=url_for("ui.images"),
                link="Look at the images",
            )
        )
    if why := attention.full_disk(in_force):
        found.append(
            Concern(
                weight="bad",
                title="The disk of this server is nearly full",
                text=why,
                url=url_for("ui.images"),
                link="Look at the images",
            )
        )
    for weight, title, several, state in (
        ("bad", "Attempts that failed", attention.failed(session), "failed"),
        ("bad", "Machines that their workflow did not prove", attention.unproven(session), ""),
        ("bad", "Machines that cannot be flashed as assigned", attention.obstructed(session), ""),
        ("bad", "Machines that flash again and again", attention.looping(session, at), ""),
        ("warn", "Wizards that wait for somebody", attention.waiting(session, at), "queued"),
        ("warn", "New machines", attention.unknown(session, at), ""),
    ):
        if several.total:
            found.append(_concern(weight, title, several, state))
    return found


def _concern(weight: str, title: str, several: Several, state: str) -> Concern:
    more = several.total - len(several.rows)
    everything = url_for("ui.machines", state=state) if state else url_for("ui.machines")
    if title == "New machines":
        everything = url_for("ui.machines", sort="-discovered")
    return Concern(
        weight=weight,
        title=f"{title} ({several.total})",
        rows=several.rows,
        more=more,
        url=everything if more else "",
        link=f"{more} more" if more else "",
    )


def _steps(counts: Counts) -> list[Step]:
    in_force = settings()
    has_live = attention.live_environment(in_force) is None
    return [
        Step(
            "Upload an image",
            "A raw, gzip, xz, zstd or qcow2 image of a disk: what machines are flashed with.",
            url_for("ui.images"),
            counts.images > 0,
        ),
        Step(
            "Upload the live environment",
            "The small Linux that machines boot from the network to be flashed.",
            url_for("ui.live"),
            has_live,
        ),
        Step(
            "Turn on proxy-DHCP",
            "It tells machines that boot from the network to come here. Your DHCP server stays as it is.",
            url_for("ui.proxy_dhcp"),
            bool(in_force.dhcp_interface),
        ),
        Step(
            "Boot a machine from the network",
            "It appears here by itself. Then say which image it gets, on which disk, and when.",
            url_for("ui.machines"),
            counts.machines > 0,
        ),
    ]
