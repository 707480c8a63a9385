"""Groups: machines that are looked at and assigned together."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from pydantic import Field, StringConstraints

from bty_web.api import auth
from bty_web.api.fields import ONE_LINE, Answer, Body, omittable
from bty_web.api.machine_schemas import GroupName
from bty_web.api.operations import PREFIX, Reply, operation
from bty_web.extensions import db, writing
from bty_web.models.words import Scope
from bty_web.services import clock, groups
from bty_web.services.groups import GroupRow

Description = Annotated[str, StringConstraints(pattern=ONE_LINE, max_length=500)]


class GroupAnswer(Answer):
    """A group."""

    name: str
    description: str
    machines: int = Field(description="How many machines are in it.")


class GroupList(Answer):
    """All groups, by name."""

    items: list[GroupAnswer]


class NewGroup(Body):
    """A group to be made."""

    name: GroupName
    description: Description = ""


class GroupChange(Body):
    """What changes; a field that is left out stays as it is."""

    name: GroupName = omittable("Its new name.")
    description: Description = omittable("One line.")


@operation("GET", "/groups", tag="groups", scope=Scope.READ, answers={200: GroupList})
def list_groups() -> GroupList:
    """List all groups."""
    return GroupList(items=[_answer(row) for row in groups.rows(db.session())])


@operation(
    "POST",
    "/groups",
    tag="groups",
    scope=Scope.OPERATE,
    body=NewGroup,
    answers={201: GroupAnswer},
)
def create_group(body: NewGroup) -> Reply:
    """Make a group."""
    with writing() as session:
        group = groups.create(
            session, body.name, body.description, by=auth.actor(), now=clock.now()
        )
    where = f"{PREFIX}/groups/{quote(group.name, safe='')}"
    return Reply(_answer(GroupRow(group, 0)), 201, {"Location": where})


@operation(
    "GET",
    "/groups/{name}",
    tag="groups",
    scope=Scope.READ,
    answers={200: GroupAnswer},
    problems=[404],
)
def show_group(name: str) -> GroupAnswer:
    """Show one group.

    Its machines are those of `GET /machines?group=NAME`.
    """
    return _answer(groups.row(db.session(), name))


@operation(
    "PATCH",
    "/groups/{name}",
    tag="groups",
    scope=Scope.OPERATE,
    body=GroupChange,
    answers={200: GroupAnswer},
    problems=[404],
)
def change_group(name: str, body: GroupChange) -> GroupAnswer:
    """Rename a group or describe it anew; its machines stay in it."""
    with writing() as session:
        group = groups.get(session, name)
        groups.change(
            session,
            group,
            name=body.name,
            description=body.description,
            by=auth.actor(),
            now=clock.now(),
        )
        return _answer(groups.row(session, group.name))


@operation(
    "DELETE",
    "/groups/{name}",
    tag="groups",
    scope=Scope.OPERATE,
    answers={204: None},
    problems=[404],
)
def remove_group(name: str) -> None:
    """Remove a group; its machines stay, in no group."""
    with writing() as session:
        group = groups.get(session, name)
        groups.remove(session, group, by=auth.actor(), now=clock.now())


def _answer(row: GroupRow) -> GroupAnswer:
    return GroupAnswer(
        name=row.group.name, description=row.group.description, machines=row.machines
    )
