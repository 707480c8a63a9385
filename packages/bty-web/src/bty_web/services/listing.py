"""Lists for pages and API: searched, filtered, sorted, one page at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, and_, case, func, or_, select
from sqlalchemy.orm import Session, defer
from sqlalchemy.sql.elements import ColumnElement

from bty_web.models import Attempt, Event, Group, Image, Job, Mac, Machine, Run
from bty_web.models.words import UNDER_WAY, ImageState, JobState, Policy, State

T = TypeVar("T")
MOST = 500  # rows of one page


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `number` counts from 1."""

    rows: Sequence[T]
    total: int
    number: int
    size: int

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-self.total // self.size))


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFilter:
    """Which machines; None is all. `group` "-" means those in no group, `image` "-" those without one."""

    search: str | None = None
    state: str | None = None  # of the newest attempt; "active" for all that are under way, "none"
    policy: Policy | None = None
    image: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class MachineRow:
    """A machine with what a list shows of its newest attempt and its group."""

    machine: Machine
    attempt: Attempt | None
    group: str | None


_SORTS: dict[str, Any] = {
    "name": func.coalesce(Machine.name, Machine.mac),
    "mac": Machine.mac,
    "policy": Machine.boot_policy,
    "image": Machine.image,
    "group": Group.name,
    "seen": Machine.last_seen_at,
    "flashed": Machine.last_flashed_at,
    "discovered": Machine.discovered_at,
    "state": Attempt.state,
}
SORTS = tuple(_SORTS)


def machines(
    session: Session, wanted: MachineFilter, *, sort: str = "name", number: int = 1, size: int = 50
) -> Page[MachineRow]:
    """Return one page of machines. `sort` is one of `SORTS`, with ``-`` before it for the reverse."""
    query = _machines(wanted)
    total = session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    size, number = _bounds(number, size, total)
    key, backwards = _SORTS.get(sort.lstrip("-"), _SORTS["name"]), sort.startswith("-")
    # What is not there comes last either way.
    order = [case((key.is_(None), 1), else_=0), key.desc() if backwards else key, Machine.id]
    rows = session.execute(query.order_by(*order).limit(size).offset((number - 1) * size)).all()
    return Page([MachineRow(*row) for row in rows], total, number, size)


def machine_ids(session: Session, wanted: MachineFilter) -> list[int]:
    """Return the ids of all machines that `wanted` lets through, for something that is done to all."""
    found = _machines(wanted).with_only_columns(Machine.id)
    return list(session.scalars(found))


def titles(session: Session, ids: Sequence[int]) -> list[str]:
    """Return what people call these machines."""
    query = select(func.coalesce(Machine.name, Machine.mac).label("title"))
    return list(session.scalars(query.where(Machine.id.in_(ids)).order_by("title")))


def machine_row(session: Session, number: int) -> MachineRow | None:
    """Return the row of one machine, or None."""
    row = session.execute(_machines(MachineFilter()).where(Machine.id == number)).first()
    return MachineRow(*row) if row else None


def _machines(wanted: MachineFilter) -> Select[Any, Any, Any]:
    query = (
        select(Machine, Attempt, Group.name)
        .outerjoin(Attempt, Attempt.id == Machine.attempt_id)
        .outerjoin(Group, Group.id == Machine.group_id)
    )
    return query.where(and_(True, *_conditions(wanted)))


def _conditions(wanted: MachineFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.search and wanted.search.strip():
        found += [_matches(word) for word in wanted.search.split()[:8]]
    if wanted.policy is not None:
        found.append(Machine.boot_policy == wanted.policy)
    if wanted.image == "-":
        found.append(Machine.image.is_(None))
    elif wanted.image:
        found.append(Machine.image == wanted.image)
    if wanted.group == "-":
        found.append(Machine.group_id.is_(None))
    elif wanted.group:
        found.append(Group.name == wanted.group)
    if wanted.state == "active":
        found.append(Attempt.state.in_([*UNDER_WAY]))
    elif wanted.state == "none":
        found.append(Machine.attempt_id.is_(None))
    elif wanted.state in set(State):
        found.append(Attempt.state == State(wanted.state))
    return found


def _matches(word: str) -> ColumnElement[bool]:
    like = f"%{_escaped(word)}%"
    columns = [Machine.name, Machine.serial, Machine.product, Machine.last_seen_ip, Machine.image]
    found = [column.ilike(like, escape="\\") for column in columns]
    digits = re.sub(r"[:-]", ":", word.lower())
    macs = select(Mac.machine_id).where(Mac.mac.like(f"%{_escaped(digits)}%", escape="\\"))
    return or_(*found, Machine.id.in_(macs))


def _escaped(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def _bounds(number: int, size: int, total: int) -> tuple[int, int]:
    """Return a size and a page that exist."""
    size = min(max(size, 1), MOST)
    return size, min(max(number, 1), max(1, -(-total // size)))


def runs(
    session: Session,
    *,
    machine_id: int | None = None,
    workflow: str | None = None,
    number: int = 1,
    size: int = 50,
) -> Page[tuple[Run, Machine]]:
    """Return one page of runs with their machines, the newest first: of all versions of `workflow`, or all."""
    query = select(Run, Machine).join(Machine, Machine.id == Run.machine_id)
    if machine_id is not None:
        query = query.where(Run.machine_id == machine_id)
    if workflow is not None:
        query = query.where(Run.workflow.startswith(f"{workflow}@", autoescape=True))
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    size, number = _bounds(number, size, total)
    # Facts are large, and no list shows them.
    query = query.options(defer(Run.facts)).order_by(Run.id.desc())
    rows = session.execute(query.limit(size).offset((number - 1) * size))
    return Page([(row[0], row[1]) for row in rows], total, number, size)


def attempts(
    session: Session,
    *,
    machine_id: int | None = None,
    state: State | None = None,
    number: int = 1,
    size: int = 50,
) -> Page[tuple[Attempt, Machine]]:
    """Return one page of attempts with their machines, the newest first."""
    query = select(Attempt, Machine).join(Machine, Machine.id == Attempt.machine_id)
    if machine_id is not None:
        query = query.where(Attempt.machine_id == machine_id)
    if state is not None:
        query = query.where(Attempt.state == state)
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    size, number = _bounds(number, size, total)
    query = query.order_by(Attempt.id.desc()).limit(size).offset((number - 1) * size)
    return Page([(row[0], row[1]) for row in session.execute(query)], total, number, size)


def events(
    session: Session,
    *,
    search: str | None = None,
    kind: str | None = None,
    machine_id: int | None = None,
    number: int = 1,
    size: int = 100,
) -> Page[Event]:
    """Return one page of events, the newest first. `kind` may be a whole one or what stands before its dot."""
    query = select(Event)
    for word in (search or "").split()[:8]:
        like = f"%{_escaped(word)}%"
        columns = [Event.message, Event.subject, Event.actor, Event.address, Event.kind]
        query = query.where(or_(*(column.ilike(like, escape="\\") for column in columns)))
    if kind:
        query = query.where(
            or_(Event.kind == kind, Event.kind.like(f"{_escaped(kind)}.%", escape="\\"))
        )
    if machine_id is not None:
        query = query.where(Event.machine_id == machine_id)
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    size, number = _bounds(number, size, total)
    query = query.order_by(Event.id.desc()).limit(size).offset((number - 1) * size)
    return Page(list(session.scalars(query)), total, number, size)


def images(
    session: Session,
    *,
    search: str | None = None,
    state: ImageState | None = None,
    number: int = 1,
    size: int = 50,
) -> Page[Image]:
    """Return one page of images by name."""
    query = select(Image)
    for word in (search or "").split()[:8]:
        like = f"%{_escaped(word)}%"
        columns = [Image.name, Image.description, Image.format, Image.sha256]
        query = query.where(or_(*(column.ilike(like, escape="\\") for column in columns)))
    if state is not None:
        query = query.where(Image.state == state)
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    size, number = _bounds(number, size, total)
    query = query.order_by(Image.name).limit(size).offset((number - 1) * size)
    return Page(list(session.scalars(query)), total, number, size)


def jobs(
    session: Session,
    *,
    kind: str | None = None,
    state: JobState | None = None,
    number: int = 1,
    size: int = 50,
) -> Page[Job]:
    """Return one page of background work, the newest first."""
    query = select(Job)
    if kind:
        query = query.where(Job.kind == kind)
    if state is not None:
        query = query.where(Job.state == state)
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    size, number = _bounds(number, size, total)
    query = query.order_by(Job.id.desc()).limit(size).offset((number - 1) * size)
    return Page(list(session.scalars(query)), total, number, size)
