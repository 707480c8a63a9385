"""Workflows of CIJOE: what machines can be provisioned with."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from bty_core.provisioning import bundles
from bty_core.wire.fields import InvalidField
from bty_web.api import auth, reading
from bty_web.api.fields import ONE_LINE, Answer, Query, omittable
from bty_web.api.operations import PREFIX, Reply, operation
from bty_web.extensions import db, writing
from bty_web.models import Workflow
from bty_web.models.words import Scope
from bty_web.security import settings
from bty_web.services import clock, workflows

FileName = Annotated[str, StringConstraints(pattern=ONE_LINE, min_length=1, max_length=200)]


class WorkflowAnswer(Answer):
    """One version of a workflow. A version never changes."""

    name: str
    version: int = Field(description="Counted from 1; `NAME` alone means the newest.")
    task: str = Field(description="The file in the archive that cijoe runs.")
    config: str | None = Field(description="The file in the archive with its configuration.")
    sha256: str = Field(description="Of the archive as it is kept.")
    size_bytes: int
    files: int = Field(description="How many files are in it.")
    added_at: AwareDatetime
    added_by: str


class WorkflowList(Answer):
    """Workflows or versions."""

    items: list[WorkflowAnswer]


class WorkflowQuery(Query):
    """What is run, where the archive does not make that plain."""

    task: FileName | None = omittable("The task file; left out: the only one at its top.")
    config: FileName | None = omittable("The configuration; left out: the only TOML file there.")


@operation("GET", "/workflows", tag="workflows", scope=Scope.READ, answers={200: WorkflowList})
def list_workflows() -> WorkflowList:
    """List the newest version of each workflow."""
    return _list(workflows.newest(db.session()))


@operation(
    "GET",
    "/workflows/{name}",
    tag="workflows",
    scope=Scope.READ,
    answers={200: WorkflowList},
    problems=[404],
)
def show_workflow(name: str) -> WorkflowList:
    """List the versions of a workflow, the newest first."""
    return _list(workflows.versions(db.session(), name))


@operation(
    "PUT",
    "/workflows/{name}",
    tag="workflows",
    scope=Scope.ADMIN,
    query=WorkflowQuery,
    stream="application/octet-stream",
    answers={201: WorkflowAnswer, 200: WorkflowAnswer},
)
def put_workflow(name: str, query: WorkflowQuery) -> Reply:
    """Upload a version of a workflow.

    The body is a tar, tar.gz or zip with the task file, its scripts and its configuration. cijoe checks it before it is
    kept (`cijoe --integrity-check`); nothing in it is run. 201: it is a new version. 200: it is what the newest version
    is already.
    """
    in_force, by = settings(), auth.actor()
    data = reading.whole(bundles.MOST_PACKED)
    if not data:
        raise InvalidField("", "the body is empty", hint="send a tar, tar.gz or zip")
    checked = workflows.check(data, task=query.task, config=query.config)
    with writing() as session:
        before = {one.version for one in workflows.newest(session) if one.name == name}
        made = workflows.add(session, in_force.state_dir, name, checked, by=by, now=clock.now())
        answer = WorkflowAnswer.model_validate(made)
    if made.version in before:
        return Reply(answer, 200)
    return Reply(answer, 201, {"Location": f"{PREFIX}/workflows/{name}"})


@operation(
    "DELETE",
    "/workflows/{name}",
    tag="workflows",
    scope=Scope.ADMIN,
    answers={204: None},
    problems=[404],
)
def remove_workflow(name: str) -> None:
    """Remove a workflow with all its versions; 409 where a machine is assigned it."""
    in_force = settings()
    with writing() as session:
        workflows.remove(session, in_force.state_dir, name, by=auth.actor(), now=clock.now())


def _list(found: list[Workflow]) -> WorkflowList:
    return WorkflowList(items=[WorkflowAnswer.model_validate(one) for one in found])
