"""The list of machines: live, searched, filtered, sorted; and a machine that is added by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import flash, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from bty_core.errors import BtyError, InvalidValue
from bty_core.values import MacAddress
from bty_core.wire.fields import InvalidField
from bty_web.errors import Conflict
from bty_web.extensions import db, writing
from bty_web.models import Group, Image
from bty_web.models.words import Policy, State
from bty_web.problems import status_of
from bty_web.security import login_required, person, settings
from bty_web.services import assignments, listing, machines, workflows
from bty_web.services.assignments import Change
from bty_web.services.clock import now
from bty_web.services.listing import MachineRow, Page
from bty_web.ui.asked import SIZES, USUAL, Asked
from bty_web.ui.blueprint import bp
from bty_web.ui.paging import page_number
from bty_web.ui.words import policy_text


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinesPage:
    """What the list of machines shows."""

    page: Page[MachineRow]
    asked: Asked
    images: Sequence[str]
    groups: Sequence[str]
    sizes = SIZES
    states = tuple(State)
    policies = tuple((policy.value, policy_text(policy)) for policy in Policy)

    @property
    def filtered(self) -> bool:
        """Whether some machines may be left out."""
        return bool(self.asked.filter)

    @property
    def narrowed(self) -> bool:
        """Whether one of the choices beside the search is made."""
        return bool(self.asked.filter.keys() - {"q"}) or self.asked.size != USUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class AddPage:
    """What the form for a new machine shows."""

    wanted: Mapping[str, str]
    groups: Sequence[str]
    error: BtyError | None = None

    @property
    def field(self) -> str:
        """The field that is wrong, if one is."""
        return self.error.field if isinstance(self.error, InvalidField) else ""


@bp.get("/machines", endpoint="machines")
@login_required
def machines_list() -> str:
    """List machines."""
    return render_template("machines/list.html", page=_page())


@bp.get("/machines/table")
@login_required
def machines_table() -> str:
    """Show the table alone, for a page that follows it."""
    return render_template("machines/_table.html", page=_page())


def _page() -> MachinesPage:
    session, asked = db.session(), Asked.here()
    found = listing.machines(
        session, asked.wanted, sort=asked.sort, number=page_number(), size=asked.size
    )
    return MachinesPage(page=found, asked=asked, images=image_names(), groups=group_names())


def image_names() -> Sequence[str]:
    """Return the names of the catalog."""
    return db.session.scalars(select(Image.name).order_by(Image.name)).all()


def workflow_choices(chosen: str) -> Mapping[str, str]:
    """Return what can be assigned, by what it is assigned as: each workflow, its newest version, and `chosen`."""
    choices = {}
    for one in workflows.newest(db.session()):
        choices[one.name] = f"{one.name} (newest: {one.version})"
        choices[f"{one.name}@{one.version}"] = f"{one.name}, version {one.version}"
    if chosen and chosen not in choices:  # an older version, or one that is gone
        choices[chosen] = chosen
    return choices


def group_names() -> Sequence[str]:
    """Return the names of all groups."""
    return db.session.scalars(select(Group.name).order_by(Group.name)).all()


@bp.get("/machines/add")
@login_required
def add_machine() -> str:
    """Ask for a machine that has not shown itself yet."""
    return render_template("machines/add.html", page=AddPage(wanted={}, groups=group_names()))


@bp.post("/machines/add")
@login_required
def add_machine_now() -> Response | tuple[str, int]:
    """Add a machine by hand."""
    form = request.form
    try:
        mac = _mac(form.get("mac", ""))
        with writing() as session:
            policy = Policy(settings().default_policy)
            machine = machines.add_by_hand(session, mac, policy=policy, by=person(), now=now())
            wanted = Change.of(name=form.get("name", ""), group=form.get("group", ""))
            assignments.change(session, machine, wanted, by=person(), now=now())
    except (InvalidField, Conflict) as error:
        page = AddPage(wanted=form, groups=group_names(), error=error)
        return render_template("machines/add.html", page=page), status_of(error)
    flash(f"{machine.title} is added: say what it shall do.", "ok")
    return redirect(url_for("ui.machine", number=machine.id))


def _mac(text: str) -> MacAddress:
    try:
        return MacAddress.parse(text.strip())
    except InvalidValue as error:
        raise InvalidField("mac", error.message, hint=error.hint) from error
