"""Groups: machines that are looked at and assigned together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from bty_core.wire.fields import InvalidField
from bty_web.errors import NotFound
from bty_web.models import Group, Machine
from bty_web.services.clock import change_stamp
from bty_web.services.history import Actor, record

_NAME = re.compile(r"[^\x00-\x1f\x7f<>\"'&`$\\/]{1,80}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group and how many machines it has."""

    group: Group
    machines: int


def rows(session: Session) -> list[GroupRow]:
    """Return all groups by name."""
    query = (
        select(Group, func.count(Machine.id))
        .outerjoin(Machine, Machine.group_id == Group.id)
        .group_by(Group.id)
        .order_by(Group.name)
    )
    return [GroupRow(*row) for row in session.execute(query)]


def row(session: Session, name: str) -> GroupRow:
    """Return one group; raise `NotFound`."""
    group = get(session, name)
    count = select(func.count()).select_from(Machine).where(Machine.group_id == group.id)
    return GroupRow(group, session.scalar(count) or 0)


def get(session: Session, name: str) -> Group:
    """Return the group called `name`; raise `NotFound`."""
    found = session.scalar(select(Group).where(Group.name == name))
    if found is None:
        raise NotFound(f"there is no group '{name[:80]}'")
    return found


def create(session: Session, name: str, description: str, *, by: Actor, now: datetime) -> Group:
    """Make a group; raise `InvalidField` for a name that cannot be or is taken."""
    group = Group(name=_free(session, name, None), description=_described(description))
    session.add(group)
    record(
        session, "group.created", f"group {group.name} was made", by=by, now=now, subject=group.name
    )
    session.flush()
    return group


def change(
    session: Session,
    group: Group,
    *,
    name: str | None = None,
    description: str | None = None,
    by: Actor,
    now: datetime,
) -> None:
    """Rename or describe `group` anew; None leaves what is there."""
    was = (group.name, group.description)
    if name is not None:
        group.name = _free(session, name, group)
    if description is not None:
        group.description = _described(description)
    if was == (group.name, group.description):
        return
    told = f"group {was[0]} is now called {group.name}" if was[0] != group.name else "was described"
    record(session, "group.changed", told, by=by, now=now, subject=group.name)
    _touch_members(session, group)
    session.flush()


def remove(session: Session, group: Group, *, by: Actor, now: datetime) -> None:
    """Remove `group`; its machines stay, in no group."""
    _touch_members(session, group)
    session.execute(update(Machine).where(Machine.group_id == group.id).values(group_id=None))
    record(
        session,
        "group.removed",
        f"group {group.name} was removed",
        by=by,
        now=now,
        subject=group.name,
    )
    session.delete(group)
    session.flush()


def _touch_members(session: Session, group: Group) -> None:
    mine = update(Machine).where(Machine.group_id == group.id)
    session.execute(mine.values(changed=change_stamp()))


def _free(session: Session, name: str, group: Group | None) -> str:
    name = name.strip()
    if not _NAME.fullmatch(name) or name in ("-", ".", ".."):
        raise InvalidField(
            "name",
            "a group's name has 1 to 80 characters, without control characters and without "
            "< > \" ' & ` $ \\ /",
        )
    taken = session.scalar(select(Group).where(Group.name == name))
    if taken is not None and taken is not group:
        raise InvalidField("name", f"there is a group '{name}' already")
    return name


def _described(text: str) -> str:
    text = text.strip()
    if len(text) > 500 or _CONTROL.search(text):
        raise InvalidField(
            "description", "a group's description is one line of at most 500 characters"
        )
    return text
