"""What the Settings page keeps, and the settings that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bty_core.wire.fields import InvalidField
from bty_web.models import Preference
from bty_web.services.history import Actor, record
from bty_web.settings import DECLARED, Settings


def effective(session: Session, settings: Settings) -> Settings:
    """Return the settings of this process with what the Settings page keeps."""
    rows = session.execute(select(Preference.name, Preference.value)).all()
    return settings.with_page({row.name: row.value for row in rows})


def change(
    session: Session,
    settings: Settings,
    wanted: Mapping[str, str],
    *,
    by: Actor,
    now: datetime,
) -> list[str]:
    """Keep the values of `wanted`; return the names that became different.

    Raises `InvalidField` and changes nothing for a value that cannot be, a setting that the page does
    not have, or one that environment or file decide.
    """
    before = effective(session, settings)
    different: dict[str, str] = {}
    for name, text in wanted.items():
        declared = DECLARED.get(name)
        if declared is None or not declared["page"]:
            raise InvalidField(name, f"'{name}' is no setting that can be changed here")
        try:
            value = declared["parse"](text)
        except ValueError as error:
            raise InvalidField(name, f"{name}: {error}") from error
        if value == getattr(before, name):
            continue
        if name in settings.fixed:
            raise InvalidField(
                name, f"{name} is fixed by {settings.came_from[name]}", hint="change it there"
            )
        different[name] = text.strip()
    for name, text in different.items():
        row = session.get(Preference, name)
        if row is None:
            session.add(Preference(name=name, value=text))
        else:
            row.value = text
    if different:
        told = ", ".join(f"{name}: {text or 'none'}" for name, text in different.items())
        record(session, "settings.changed", told, by=by, now=now, subject="settings")
    session.flush()
    return list(different)
