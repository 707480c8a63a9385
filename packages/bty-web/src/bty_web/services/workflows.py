"""Workflows of CIJOE: kept by name and version, checked before they are kept."""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bty_core.errors import BtyError
from bty_core.provisioning import bundles
from bty_core.provisioning.cijoe import read_workflow
from bty_core.provisioning.errors import WorkflowRefused
from bty_core.wire.fields import InvalidField
from bty_web.dhcp import durable
from bty_web.errors import Conflict, NotFound
from bty_web.models import Machine, Workflow
from bty_web.services.history import Actor, record

FOLDER = "workflows"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_REFERENCE = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,59})(@(?P<version>[1-9][0-9]{0,8}))?"
)


@dataclass(frozen=True, slots=True)
class Checked:
    """An archive that cijoe has found fit to run, packed anew."""

    data: bytes
    task: str
    config: str | None
    files: int


def check(data: bytes, *, task: str | None = None, config: str | None = None) -> Checked:
    """Check an archive with cijoe; nothing in it is run.

    `task` and `config` are files in it; left out, the only task and the only TOML file at its top are
    taken. Raises `InvalidField`, or `ProgramMissing` where cijoe is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="bty-workflow-") as name:
        folder = Path(name)
        names = bundles.unpack(data, folder)
        task = _chosen("task", task, names, _tasks(folder, names))
        configs = [one for one in names if "/" not in one and one.endswith(".toml")]
        if config is not None or configs:
            config = _chosen("config", config, names, configs)
        try:
            read_workflow(folder / task, folder / config if config else None)
        except WorkflowRefused as error:
            told = error.message.replace(f"{folder}/", "")
            raise InvalidField("archive", told, hint=error.hint) from error
        return Checked(bundles.pack(folder, names), task, config, len(names))


def add(
    session: Session,
    state_dir: Path,
    name: str,
    checked: Checked,
    *,
    by: Actor,
    now: datetime,
) -> Workflow:
    """Keep a new version of the workflow called `name`; the newest one itself where nothing is different."""
    if not _NAME.fullmatch(name):
        raise InvalidField(
            "name", "a workflow's name has 1 to 60 letters, digits, dots, hyphens or underscores"
        )
    sha256 = hashlib.sha256(checked.data).hexdigest()
    newest: Workflow | None = session.scalar(_of(name).limit(1))
    if newest is not None and (newest.sha256, newest.task, newest.config) == (
        sha256,
        checked.task,
        checked.config,
    ):
        return newest
    _keep(state_dir, sha256, checked.data)
    made = Workflow(
        name=name,
        version=(newest.version if newest else 0) + 1,
        task=checked.task,
        config=checked.config,
        sha256=sha256,
        size_bytes=len(checked.data),
        files=checked.files,
        added_at=now,
        added_by=by.name,
    )
    session.add(made)
    told = f"version {made.version} of the workflow {name} was added ({checked.files} files)"
    record(session, "workflow.added", told, by=by, now=now, subject=name)
    session.flush()
    return made


def find(session: Session, reference: str | None) -> Workflow | None:
    """Return what ``NAME``, the newest version, or ``NAME@VERSION`` means, or None."""
    found = _REFERENCE.fullmatch(reference or "")
    if found is None:
        return None
    query = _of(found["name"])
    if found["version"]:
        query = query.where(Workflow.version == int(found["version"]))
    newest: Workflow | None = session.scalar(query.limit(1))
    return newest


def get(session: Session, reference: str) -> Workflow:
    """Return what a reference means; raise `NotFound`."""
    found = find(session, reference)
    if found is None:
        raise NotFound(f"there is no workflow '{reference[:80]}'")
    return found


def references(session: Session) -> set[str]:
    """Return all that means a workflow: each ``NAME`` and each ``NAME@VERSION``."""
    rows = session.execute(select(Workflow.name, Workflow.version)).all()
    return {row.name for row in rows} | {f"{row.name}@{row.version}" for row in rows}


def newest(session: Session) -> list[Workflow]:
    """Return the newest version of each workflow, by name."""
    latest = select(func.max(Workflow.id)).group_by(Workflow.name)
    query = select(Workflow).where(Workflow.id.in_(latest)).order_by(Workflow.name)
    return list(session.scalars(query))


def versions(session: Session, name: str) -> list[Workflow]:
    """Return all versions of a workflow, the newest first; raise `NotFound` where there is none."""
    found = list(session.scalars(_of(name)))
    if not found:
        raise NotFound(f"there is no workflow '{name[:80]}'")
    return found


def remove(session: Session, state_dir: Path, name: str, *, by: Actor, now: datetime) -> None:
    """Remove a workflow with all its versions; raise `NotFound`, or `Conflict` where a machine is assigned it."""
    found = versions(session, name)
    used = session.scalar(
        select(Machine)
        .where(
            (Machine.workflow == name) | Machine.workflow.startswith(f"{name}@", autoescape=True)
        )
        .limit(1)
    )
    if used is not None:
        raise Conflict(
            f"the workflow {name} is assigned to {used.title}", hint="assign another one first"
        )
    for one in found:
        session.delete(one)
    session.flush()
    for digest in {one.sha256 for one in found}:
        if session.scalar(select(Workflow.id).where(Workflow.sha256 == digest).limit(1)) is None:
            path_of(state_dir, digest).unlink(missing_ok=True)
    record(
        session,
        "workflow.removed",
        f"the workflow {name} was removed",
        by=by,
        now=now,
        subject=name,
    )


def path_of(state_dir: Path, sha256: str) -> Path:
    """Return where an archive is kept."""
    return state_dir / FOLDER / f"{sha256}.tar.gz"


def _of(name: str) -> Any:
    return select(Workflow).where(Workflow.name == name).order_by(Workflow.version.desc())


def _keep(state_dir: Path, sha256: str, data: bytes) -> None:
    path = path_of(state_dir, sha256)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        durable.put(path, data)
    except OSError as error:
        raise BtyError(
            f"the workflow cannot be kept in {path.parent}: {error.strerror}",
            hint="look at the folder's owner and at the disk",
        ) from error


def _tasks(folder: Path, names: list[str]) -> list[str]:
    """Return the files at the top that look like a task of cijoe."""
    found = []
    for name in names:
        if "/" in name or not name.endswith((".yaml", ".yml")):
            continue
        try:
            content = yaml.safe_load((folder / name).read_bytes())
        except (yaml.YAMLError, ValueError, RecursionError):
            continue
        if isinstance(content, dict) and content.get("steps"):
            found.append(name)
    return found


def _chosen(field: str, given: str | None, names: list[str], possible: list[str]) -> str:
    if given is not None:
        if given not in names:
            raise InvalidField(field, f"there is no file '{given[:120]}' in the archive")
        return given
    if len(possible) != 1:
        what = "task file (a YAML file with steps)" if field == "task" else "TOML file"
        which = ", ".join(possible[:10]) or "none"
        raise InvalidField(
            field,
            f"the archive has not exactly one {what} at its top: {which}",
            hint=f"name it as '{field}'",
        )
    return possible[0]
