"""The Settings page: what can be changed here, and what was decided elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from bty_core.errors import BtyError
from bty_core.wire.fields import InvalidField
from bty_web import security
from bty_web.extensions import writing
from bty_web.models.words import Policy
from bty_web.security import login_required, person
from bty_web.services import preferences
from bty_web.services.clock import now
from bty_web.settings import DECLARED, PREFIX, Settings
from bty_web.ui.blueprint import bp
from bty_web.ui.words import policy_text

DEFAULT = "the default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How one setting is asked for; `choices` are values with what they mean, none for a number."""

    label: str
    unit: str = ""
    choices: tuple[tuple[str, str], ...] = ()


FORMS: Mapping[str, Form] = {
    "default_policy": Form(
        label="Boot policy of new machines",
        choices=(
            (Policy.TUI.value, f"{policy_text(Policy.TUI)}: waits for a person"),
            (Policy.LOCAL.value, f"{policy_text(Policy.LOCAL)}: for a network that is shared"),
        ),
    ),
    "local_boot_grace": Form(label="Grace after a boot from disk", unit="seconds"),
    "flash_limit": Form(label="Flashed at once, at most", unit="machines"),
    "online_patience": Form(label="Machines answer after their flash within", unit="seconds"),
    "online_limit": Form(label="A workflow takes, at most", unit="seconds"),
    "event_days": Form(label="Events are kept for", unit="days"),
    "upload_reserve_mib": Form(label="Room that uploads leave free", unit="MiB"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One setting as the page shows it; `fixed_by` is what keeps the page from changing it."""

    name: str
    form: Form
    help: str
    value: str
    source: str
    fixed_by: str | None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedSetting:
    """One setting that no page can change."""

    variable: str
    help: str
    value: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsPage:
    """What the first Settings page shows."""

    fields: list[Field]
    fixed: list[FixedSetting]
    error: BtyError | None = None


@bp.get("/settings")
@login_required
def settings() -> str:
    """Show what can be changed here, with its value and where that came from."""
    return render_template("settings/defaults.html", page=_page(security.settings(), {}))


@bp.post("/settings")
@login_required
def settings_change() -> Response | tuple[str, int]:
    """Keep what the form says."""
    in_force = security.settings()
    wanted = {
        name: request.form[name]
        for name in FORMS
        if name in request.form and name not in in_force.fixed
    }
    try:
        with writing() as session:
            changed = preferences.change(
                session, security.process_settings(), wanted, by=person(), now=now()
            )
    except InvalidField as error:
        return render_template("settings/defaults.html", page=_page(in_force, wanted, error)), 422
    security.settings_changed()
    flash("The settings are kept." if changed else "Nothing was changed.", "ok")
    return redirect(url_for("ui.settings"))


def _page(
    in_force: Settings, wanted: Mapping[str, str], error: InvalidField | None = None
) -> SettingsPage:
    fields = [
        Field(
            name=name,
            form=form,
            help=DECLARED[name]["help"],
            value=wanted.get(name, written(getattr(in_force, name))),
            source=in_force.came_from.get(name, DEFAULT),
            fixed_by=fixed_by(in_force, name),
            error=error.message if error and error.field == name else None,
        )
        for name, form in FORMS.items()
    ]
    fixed = [
        FixedSetting(
            variable=PREFIX + name.upper(),
            help=declared["help"],
            value=_shown(getattr(in_force, name), secret=declared["secret"]),
            source=in_force.came_from.get(name, DEFAULT),
        )
        for name, declared in DECLARED.items()
        if not declared["page"]
    ]
    return SettingsPage(fields=fields, fixed=fixed, error=error)


def fixed_by(in_force: Settings, name: str) -> str | None:
    """Return the environment variable or file that decides this setting, or None where the page may."""
    return in_force.came_from[name] if name in in_force.fixed else None


def written(value: Any) -> str:
    """Return a setting's value as a person writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _shown(value: Any, *, secret: bool) -> str:
    if secret:
        return "set, not shown" if value else "not set"
    return written(value)
