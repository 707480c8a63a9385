"""The page of one machine: what it is, what it shall do, what it would get now, and what has happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import flash, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from bty_core.errors import BtyError, InvalidValue
from bty_core.values import MacAddress
from bty_core.wire.fields import InvalidField
from bty_core.wire.reports import InventoryReport
from bty_web.errors import NotFound
from bty_web.extensions import db, writing
from bty_web.models import Attempt, Event, Group, Image, Mac, Machine
from bty_web.models.words import State
from bty_web.security import login_required, person, settings
from bty_web.services import (
    assignments,
    attempts,
    boot,
    contacts,
    listing,
    machines,
    targets,
    turns,
)
from bty_web.services.assignments import Change
from bty_web.services.boot import Decision, Facts, Flash, OwnDisk, Wizard
from bty_web.services.clock import now
from bty_web.services.listing import Page
from bty_web.services.targets import Preview
from bty_web.ui.blueprint import bp
from bty_web.ui.known import KnownPage, known_of
from bty_web.ui.machines import group_names, workflow_choices
from bty_web.ui.paging import page_number
from bty_web.ui.words import OPTIONS, POLICIES, PROVISIONING

ATTEMPTS = 10  # of one page of the table
EVENTS = 20
GOING = (State.QUEUED, State.RUNNING, State.VERIFYING, State.PROVISIONING)


@dataclass(frozen=True, slots=True, kw_only=True)
class NowPage:
    """What changes while one looks: the decision, the newest attempt."""

    machine: Machine
    attempt: Attempt | None
    decision: Decision
    facts: Facts
    position: int | None  # of the newest attempt in the queue
    why_no_reflash: str | None  # in words; None where it can be flashed as it is assigned

    @property
    def going(self) -> bool:
        """Whether the newest attempt is at work, and so comes first."""
        return self.attempt is not None and self.attempt.state in GOING

    @property
    def gets(self) -> str:
        """What a network boot would get now."""
        match self.decision:
            case OwnDisk():
                return "its own disk"
            case Wizard():
                return "the wizard"
            case Flash():
                return "an unattended flash"

    @property
    def loops(self) -> bool:
        """Whether it flashes itself again and again."""
        return boot.loops(self.facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """What has happened with one machine."""

    machine: Machine
    attempts: Page[tuple[Attempt, Machine]]
    events: Sequence[Event]


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePage:
    """The whole page. `wanted` is what a form said that was refused or is only looked at."""

    now: NowPage
    history: HistoryPage
    known: KnownPage
    group: str | None
    groups: Sequence[str]
    images: Sequence[Image]
    macs: Sequence[Mac]
    inventory: InventoryReport | None
    choices: Sequence[targets.Choice]
    target: str
    preview: Preview | None
    wanted: Mapping[str, str]
    error: BtyError | None = None
    policies = POLICIES
    options = OPTIONS
    provisioning = PROVISIONING

    @property
    def machine(self) -> Machine:
        """The machine."""
        return self.now.machine

    @property
    def field(self) -> str:
        """The field that is wrong, if one is."""
        return self.error.field if isinstance(self.error, InvalidField) else ""

    @property
    def image(self) -> str:
        """The image that the form shows as chosen."""
        return self.wanted.get("image", self.machine.image or "")

    def chosen(self, option: str) -> bool:
        """Whether the form shows an option of the flash as chosen."""
        given = _last(self.wanted, option)
        return given == "yes" if given is not None else bool(getattr(self.machine, option))

    @property
    def workflow(self) -> str:
        """The workflow that the form shows as chosen."""
        return self.wanted.get("workflow", self.machine.workflow or "")

    @property
    def workflows(self) -> Mapping[str, str]:
        """The workflows that the form offers, by what they are assigned as."""
        return workflow_choices(self.workflow)

    @property
    def provisioning_mode(self) -> str:
        """The provisioning mode that the form shows as chosen."""
        return self.wanted.get("provisioning_mode", self.machine.provisioning_mode.value)

    @property
    def policy(self) -> str:
        """The policy that the form shows as chosen."""
        return self.wanted.get("boot_policy", self.machine.boot_policy.value)


@bp.get("/machines/<int:number>", endpoint="machine")
@bp.get("/machine/<mac>", endpoint="machine")
@login_required
def show_machine(number: int = 0, mac: str | None = None) -> Response | str:
    """Show one machine; by a MAC address, go to it."""
    if mac is not None:
        return redirect(url_for("ui.machine", number=_by_mac(mac).id))
    return render_template("machine/machine.html", page=page_of(find(number)))


@bp.get("/machines/<int:number>/now")
@login_required
def machine_now(number: int) -> str:
    """Show what changes, for a page that follows it."""
    return render_template("machine/_now.html", now=now_of(find(number)))


@bp.get("/machines/<int:number>/history")
@login_required
def machine_history(number: int) -> str:
    """Show what has happened, for a page that follows it."""
    return render_template("machine/_history.html", history=_history(find(number)))


@bp.get("/machines/<int:number>/inventory")
@login_required
def machine_inventory(number: int) -> str:
    """Show what the machine is made of, for a page that follows it."""
    machine = find(number)
    found = targets.inventory_of(machine.inventory)
    return render_template("machine/_inventory.html", machine=machine, found=found)


@bp.get("/machines/<int:number>/disks")
@login_required
def machine_disks(number: int) -> str:
    """Show the disks to choose from, for a form that follows them; what it has chosen stays its own."""
    choices = targets.choices(find(number).inventory)
    return render_template("machine/_disks.html", choices=choices, target=None)


@bp.get("/machines/<int:number>/target")
@login_required
def machine_target(number: int) -> str:
    """Say which disk a selector means."""
    preview = targets.preview(find(number).inventory, _target(request.args))
    return render_template("machine/_preview.html", preview=preview)


@bp.get("/machines/<int:number>/attempts/<int:attempt>")
@login_required
def machine_attempt(number: int, attempt: int) -> str:
    """Show one attempt, with its log."""
    machine = find(number)
    found = attempt_of(db.session(), machine, attempt)
    return render_template(
        "machine/attempt.html",
        machine=machine,
        attempt=found,
        position=position_of(db.session(), found, now()),
    )


@bp.post("/machines/<int:number>/assignment")
@login_required
def assign(number: int) -> Response | str | tuple[str, int]:
    """Keep an assignment, or only look which disk it means."""
    form = request.form
    if "preview" in form:
        return render_template("machine/machine.html", page=page_of(find(number), wanted=form))
    options = {name: _last(form, name) for name in OPTIONS}
    wanted = Change.of(
        image=form.get("image", ""),
        target=_target(form),
        provisioning_mode=form.get("provisioning_mode", ""),
        workflow=form.get("workflow", ""),
        boot_policy=form.get("boot_policy", ""),
        local_boot=form.get("local_boot", ""),
        **{name: value for name, value in options.items() if value is not None},
    )
    return _changed(number, wanted)


@bp.post("/machines/<int:number>/identity")
@login_required
def identify(number: int) -> Response | tuple[str, int]:
    """Keep name, group, tags and notes."""
    form = request.form
    notes = form.get("notes", "").replace("\r\n", "\n")
    texts = {name: form.get(name, "") for name in ("name", "group", "tags")}
    wanted = Change.of(**texts, notes=notes)
    return _changed(number, wanted)


def _changed(number: int, wanted: Change) -> Response | tuple[str, int]:
    try:
        with writing() as session:
            machine = find(number, session)
            different = assignments.change(session, machine, wanted, by=person(), now=now())
    except InvalidField as error:
        page = page_of(find(number), wanted=request.form, error=error)
        return render_template("machine/machine.html", page=page), 422
    flash("It is kept." if different else "Nothing was different.", "ok")
    return redirect(url_for("ui.machine", number=number))


def find(number: int, session: Session | None = None) -> Machine:
    """Return the machine of that number; raise `NotFound`. In a unit of work it is locked."""
    if session is not None:
        found = next(iter(machines.by_ids(session, [number])), None)
    else:
        found = db.session.get(Machine, number)
    if found is None:
        raise NotFound(f"there is no machine {number}", hint="it may have been removed")
    return found


def attempt_of(session: Session, machine: Machine, number: int) -> Attempt:
    """Return an attempt of `machine`; raise `NotFound`."""
    found = attempts.get(session, number)
    if found.machine_id != machine.id:
        raise NotFound(f"{machine.title} has no attempt {number}")
    return found


def position_of(session: Session, attempt: Attempt, at: datetime) -> int | None:
    """Return the place of `attempt` among those that wait for their turn to write, or None."""
    return turns.positions(session, [attempt], at).get(attempt.id)


def _by_mac(text: str) -> Machine:
    try:
        return machines.get(db.session(), MacAddress.parse(text))
    except InvalidValue as error:
        raise NotFound(error.message) from error


def _last(given: Mapping[str, str], name: str) -> str | None:
    """Return the last value of a field: what is unchecked sends the one before it."""
    values = given.getlist(name) if isinstance(given, MultiDict) else []
    return values[-1] if values else None


def _target(given: Mapping[str, str]) -> str:
    """Return the selector that a form means: the disk that was chosen, otherwise the text."""
    return (given.get("disk") or given.get("target") or "").strip()


def page_of(
    machine: Machine, *, wanted: Mapping[str, str] | None = None, error: BtyError | None = None
) -> MachinePage:
    """Gather the whole page."""
    session, wanted = db.session(), wanted or {}
    target = _target(wanted) if "target" in wanted or "disk" in wanted else machine.target or ""
    group = session.get(Group, machine.group_id) if machine.group_id else None
    return MachinePage(
        now=now_of(machine),
        history=_history(machine),
        known=known_of(machine),
        group=group.name if group else None,
        groups=group_names(),
        images=session.scalars(select(Image).order_by(Image.name)).all(),
        macs=session.scalars(
            select(Mac).where(Mac.machine_id == machine.id).order_by(Mac.mac)
        ).all(),
        inventory=targets.inventory_of(machine.inventory),
        choices=targets.choices(machine.inventory),
        target=target,
        preview=targets.preview(machine.inventory, target),
        wanted=wanted,
        error=error,
    )


def now_of(machine: Machine) -> NowPage:
    """Gather what changes."""
    session, at = db.session(), now()
    facts = contacts.facts_of(session, machine)
    grace = timedelta(seconds=settings().local_boot_grace)
    attempt = attempts.latest(session, machine)
    return NowPage(
        machine=machine,
        attempt=attempt,
        position=position_of(session, attempt, at) if attempt else None,
        decision=boot.decide(facts, at, grace),
        facts=facts,
        why_no_reflash=contacts.obstacle(session, machine),
    )


def _history(machine: Machine) -> HistoryPage:
    session = db.session()
    return HistoryPage(
        machine=machine,
        attempts=listing.attempts(
            session, machine_id=machine.id, number=page_number(), size=ATTEMPTS
        ),
        events=listing.events(session, machine_id=machine.id, size=EVENTS).rows,
    )
