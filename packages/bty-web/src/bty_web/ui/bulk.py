"""One thing done to many machines: first a page that names them, then the thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import flash, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from bty_core.errors import BtyError
from bty_core.wire.fields import InvalidField
from bty_web.errors import Conflict
from bty_web.extensions import db, writing
from bty_web.models import Machine
from bty_web.problems import status_of
from bty_web.security import login_required, person
from bty_web.services import assignments, contacts, listing, machines
from bty_web.services.assignments import Change
from bty_web.services.clock import now
from bty_web.services.history import Actor
from bty_web.ui.asked import Asked
from bty_web.ui.blueprint import bp
from bty_web.ui.machines import group_names, image_names, workflow_choices
from bty_web.ui.words import OPTIONS, POLICIES, PROVISIONING

ACTIONS = ("assign", "reflash", "remove")
NAMED = 12  # machines that the page names
AT_ONCE = 100  # machines of one transaction: others want to write too
LEAVE = ""  # what a choice says that changes nothing
NOTHING = "-"  # what a choice says that takes something away

Deed = Callable[[Session, Machine, Actor, datetime], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkPage:
    """What the page before the deed shows."""

    action: str
    ids: Sequence[int]
    titles: Sequence[str]  # of the first ones
    everything: bool  # all that match the filter, and not those that were checked
    asked: Asked
    images: Sequence[str]
    workflows: Mapping[str, str]
    groups: Sequence[str]
    wanted: Mapping[str, str]
    error: BtyError | None = None
    options = OPTIONS
    policies = POLICIES
    provisioning = PROVISIONING

    @property
    def field(self) -> str:
        """The field that is wrong, if one is."""
        return self.error.field if isinstance(self.error, InvalidField) else ""

    @property
    def more(self) -> int:
        """How many machines are not named."""
        return len(self.ids) - len(self.titles)


@bp.post("/machines/bulk")
@login_required
def bulk() -> Response | str:
    """Ask before something is done to many machines."""
    action = request.form.get("action", "")
    if action not in ACTIONS:
        raise InvalidField("action", f"'{action[:40]}' is nothing that can be done to machines")
    ids = _ids()
    if not ids:
        flash("Choose at least one machine first.", "error")
        return _back()
    return render_template("machines/bulk.html", page=_page(action, ids))


@bp.post("/machines/bulk/<action>")
@login_required
def bulk_now(action: str) -> Response | tuple[str, int]:
    """Do it."""
    ids = _ids()
    deed = _deed(action)
    told = request.form.get("count", "")
    if request.form.get("all") == "yes" and told != str(len(ids)):
        why = Conflict(
            f"{told[:9] or 'some'} machines matched when you were asked, {len(ids)} do now",
            hint="look again, and confirm it if that is what you mean",
        )
        return render_template("machines/bulk.html", page=_page(action, ids, why)), 409
    try:
        done, left = _do(ids, deed)
    except BtyError as error:
        return render_template("machines/bulk.html", page=_page(action, ids, error)), status_of(
            error
        )
    word = {"assign": "changed", "reflash": "flashed at the next network boot"}
    flash(f"{_machines(done)} {word.get(action, 'removed')}.", "ok")
    for reason in left[:NAMED]:
        flash(f"Left alone: {reason}", "error")
    if len(left) > NAMED:
        flash(f"{len(left) - NAMED} more were left alone.", "error")
    return _back()


def _machines(count: int) -> str:
    return f"{count} machine is" if count == 1 else f"{count} machines are"


def _ids() -> list[int]:
    if request.form.get("all") == "yes":
        return listing.machine_ids(db.session(), Asked.of(request.form).wanted)
    return sorted(set(request.form.getlist("id", type=int)))


def _back() -> Response:
    return redirect(url_for("ui.machines", **Asked.of(request.form).filter))


def _page(action: str, ids: Sequence[int], error: BtyError | None = None) -> BulkPage:
    named = listing.titles(db.session(), ids[:NAMED])
    return BulkPage(
        action=action,
        ids=ids,
        titles=named,
        everything=request.form.get("all") == "yes",
        asked=Asked.of(request.form),
        images=image_names(),
        workflows=workflow_choices(""),
        groups=group_names(),
        wanted=request.form,
        error=error,
    )


def _deed(action: str) -> Deed:
    match action:
        case "assign":
            wanted = _wanted()
            return lambda session, machine, by, at: assignments.change(
                session, machine, wanted, by=by, now=at
            )
        case "reflash":
            return _reflash
        case "remove":
            return lambda session, machine, by, at: machines.forget(session, machine, by=by, now=at)
        case _:
            raise InvalidField("action", f"'{action[:40]}' is nothing that can be done to machines")


def _reflash(session: Session, machine: Machine, by: Actor, at: datetime) -> None:
    if why_not := contacts.obstacle(session, machine):
        raise Conflict(f"{machine.title} cannot be flashed as it is assigned: {why_not}")
    assignments.arm(session, machine, by=by, now=at)


def _wanted() -> Change:
    """Return what the form changes: a choice that was left alone changes nothing."""
    names = ("image", "target", "boot_policy", "group", "provisioning_mode", "workflow", *OPTIONS)
    given = {name: request.form.get(f"to_{name}", "").strip() for name in names}
    changed = {name: value for name, value in given.items() if value != LEAVE}
    taken = {name: None if value == NOTHING else value for name, value in changed.items()}
    return Change.of(**taken)


def _do(ids: Sequence[int], deed: Deed) -> tuple[int, list[str]]:
    """Do it to all; return to how many it was done, and why some were left alone."""
    by, at = person(), now()
    done, left = 0, list[str]()
    for some in _in_parts(ids):
        with writing() as session:
            for machine in machines.by_ids(session, some):
                try:
                    deed(session, machine, by, at)
                    done += 1
                except Conflict as error:
                    left.append(error.message)
    return done, left


def _in_parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]
