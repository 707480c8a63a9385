"""Groups of machines: list, add, rename, remove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from bty_core.errors import BtyError
from bty_core.wire.fields import InvalidField
from bty_web.errors import NotFound
from bty_web.extensions import db, writing
from bty_web.models import Group
from bty_web.security import login_required, person
from bty_web.services import groups
from bty_web.services.clock import now
from bty_web.services.groups import GroupRow
from bty_web.ui.blueprint import bp


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsPage:
    """What the list of groups shows. `number` is the group that `wanted` and `error` are about, 0 a new one."""

    rows: Sequence[GroupRow]
    wanted: Mapping[str, str]
    number: int = 0
    error: BtyError | None = None


@bp.get("/groups", endpoint="groups")
@login_required
def list_groups() -> str:
    """List groups."""
    return _drawn()


@bp.post("/groups")
@login_required
def add_group() -> Response | tuple[str, int]:
    """Add a group."""
    name, description = _given()
    try:
        with writing() as session:
            group = groups.create(session, name, description, by=person(), now=now())
    except InvalidField as error:
        return _drawn(error=error), 422
    flash(f"Group {group.name} is added.", "ok")
    return redirect(url_for("ui.groups"))


@bp.post("/groups/<int:number>")
@login_required
def change_group(number: int) -> Response | tuple[str, int]:
    """Rename a group or describe it anew."""
    name, description = _given()
    try:
        with writing() as session:
            group = _find(number)
            groups.change(
                session, group, name=name, description=description, by=person(), now=now()
            )
    except InvalidField as error:
        return _drawn(number, error), 422
    flash(f"Group {group.name} is kept.", "ok")
    return redirect(url_for("ui.groups"))


@bp.get("/groups/<int:number>/remove")
@login_required
def ask_remove_group(number: int) -> str:
    """Ask before a group is removed."""
    row = groups.row(db.session(), _find(number).name)
    return render_template("groups/remove.html", row=row)


@bp.post("/groups/<int:number>/remove")
@login_required
def remove_group(number: int) -> Response:
    """Remove a group; its machines stay."""
    with writing() as session:
        group = _find(number)
        groups.remove(session, group, by=person(), now=now())
    flash(f"Group {group.name} is removed.", "ok")
    return redirect(url_for("ui.groups"))


def _given() -> tuple[str, str]:
    return request.form.get("name", ""), request.form.get("description", "")


def _find(number: int) -> Group:
    found = db.session.get(Group, number)
    if found is None:
        raise NotFound(f"there is no group {number}", hint="it may have been removed")
    return found


def _drawn(number: int = 0, error: BtyError | None = None) -> str:
    page = GroupsPage(
        rows=groups.rows(db.session()), wanted=request.form, number=number, error=error
    )
    return render_template("groups/list.html", page=page)
