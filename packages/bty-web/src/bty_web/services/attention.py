"""What an operator should look at: failures, obstacles, machines that wait or loop, and what the server lacks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Text, case, cast, func, or_, select
from sqlalchemy.orm import Session

from bty_core.values import MIB, size_text
from bty_web.errors import BrokenSetting
from bty_web.models import Attempt, Image, Machine, Run, Seed
from bty_web.models.words import (
    UNDER_WAY,
    AttemptMode,
    ImageState,
    Policy,
    RunKind,
    RunState,
    State,
)
from bty_web.services import boot, contacts, live, provisioning, targets, workflows
from bty_web.services.contacts import FLASHING
from bty_web.settings import Settings

NAMED = 5  # machines of one kind
HEARD = timedelta(minutes=5)
NEW = timedelta(days=14)
LOOPING = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Named:
    """One machine, and why it is here."""

    id: int
    title: str
    why: str


@dataclass(frozen=True, slots=True)
class Several:
    """Machines of one kind: the first of them, and how many there are."""

    rows: Sequence[Named]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much there is."""

    machines: int
    under_way: int
    images: int
    ready: int
    done_today: int
    failed_today: int


_TITLE = func.coalesce(Machine.name, Machine.mac)
_HAS_SEED = (
    select(Seed.id)
    .where(or_(Seed.machine_id == Machine.id, Seed.group_id == Machine.group_id))
    .correlate(Machine)
    .exists()
)


def failed(session: Session) -> Several:
    """Machines whose newest attempt went wrong, as long as no operator has acted since."""
    query = (
        select(Machine.id, _TITLE, func.coalesce(Attempt.message, Attempt.code))
        .join(Attempt, Attempt.id == Machine.attempt_id)
        .where(
            or_(
                Attempt.state == State.FAILED,
                (Attempt.state == State.ABANDONED) & (Attempt.mode == AttemptMode.AUTO),
            ),
            or_(
                Machine.failures_forgiven_at.is_(None),
                Machine.failures_forgiven_at < Attempt.started_at,
            ),
        )
        .order_by(Attempt.id.desc())
    )
    rows = session.execute(query.limit(NAMED)).all()
    total = session.scalar(select(func.count()).select_from(query.order_by(None).subquery()))
    found = [Named(id_, title, why or "it failed, and said nothing") for id_, title, why in rows]
    return Several(found, total or 0)


def obstructed(session: Session) -> Several:
    """Machines that shall be flashed and cannot, with the reason."""
    query = (
        select(
            Machine.id,
            _TITLE.label("title"),
            Machine.image,
            Machine.target,
            cast(Machine.inventory, Text).label("inventory"),
            Machine.provisioning_mode,
            Machine.workflow,
            _HAS_SEED.label("has_seed"),
            Image.state.label("image_state"),
            Image.message.label("image_message"),
        )
        .outerjoin(Image, Image.name == Machine.image)
        .where(or_(Machine.boot_policy.in_(FLASHING), Machine.reflash_armed_at.is_not(None)))
        .order_by(_TITLE)
    )
    kept = workflows.references(session)
    return _several(
        Named(row.id, row.title, why)
        for row in session.execute(query)
        if (
            why := _why_not(
                row.image, row.target, row.inventory, row.image_state, row.image_message
            )
            or provisioning.obstacle(
                row.provisioning_mode,
                has_seed=row.has_seed,
                workflow=row.workflow,
                has_workflow=row.workflow in kept,
            )
        )
    )


@lru_cache(maxsize=8192)
def _why_not(
    image: str | None,
    target: str | None,
    inventory: str | None,
    state: ImageState | None,
    message: str | None,
) -> str | None:
    # The dashboard asks this of every machine again and again; reading an inventory takes a while.
    if (why := contacts.image_obstacle(image, state, message)) is not None:
        return why
    if target is None:
        return "no target disk is chosen"
    return targets.why_not(json.loads(inventory) if inventory else None, target)


def unproven(session: Session) -> Several:
    """Machines whose newest workflow of the server failed, as long as no operator has acted since."""
    newest = select(func.max(Run.id)).where(Run.kind == RunKind.WORKFLOW).group_by(Run.machine_id)
    query = (
        select(Machine.id, _TITLE, func.coalesce(Run.message, Run.code))
        .join(Run, Run.machine_id == Machine.id)
        .where(
            Run.id.in_(newest),
            Run.state == RunState.FAILED,
            or_(
                Machine.failures_forgiven_at.is_(None),
                Machine.failures_forgiven_at < Run.started_at,
            ),
        )
        .order_by(Run.id.desc())
    )
    return _several(
        Named(id_, title, why or "it failed, and said nothing")
        for id_, title, why in session.execute(query)
    )


def waiting(session: Session, now: datetime) -> Several:
    """Machines in front of whose wizard somebody should sit."""
    query = (
        select(Machine.id, _TITLE, Attempt.reason)
        .join(Attempt, Attempt.id == Machine.attempt_id)
        .where(
            Attempt.mode == AttemptMode.INTERACTIVE,
            Attempt.state == State.QUEUED,
            Attempt.queued_at.is_(None),  # who waits for its turn waits for no person
            Attempt.heard_at > now - HEARD,
        )
        .order_by(Attempt.id)
    )
    rows = session.execute(query)
    return _several(Named(id_, title, why or "shows the wizard") for id_, title, why in rows)


def unknown(session: Session, now: datetime) -> Several:
    """Machines that have shown themselves lately and that nobody has assigned anything."""
    query = (
        select(Machine.id, _TITLE, Machine.product, Machine.discovered_from)
        .where(
            Machine.discovered_from.is_not(None),
            Machine.discovered_at > now - NEW,
            Machine.revision == 1,
            Machine.name.is_(None),
            Machine.image.is_(None),
        )
        .order_by(Machine.discovered_at.desc())
    )
    return _several(
        Named(id_, title, f"{product or 'unknown product'}, first seen from {address or '?'}")
        for id_, title, product, address in session.execute(query)
    )


def looping(session: Session, now: datetime) -> Several:
    """Machines that flash themselves again and again without their own system ever starting."""
    candidates = (
        select(Machine)
        .join(Attempt, Attempt.machine_id == Machine.id)
        .where(
            Machine.boot_policy == Policy.FLASH,
            Machine.last_flashed_at > now - LOOPING,
            Attempt.state == State.DONE,
            Attempt.revision == Machine.revision,
            Attempt.own_system_at.is_(None),
        )
        .group_by(Machine.id)
        .having(func.count() >= boot.FAILURES_IN_A_ROW)
        .limit(50)
    )
    why = "was flashed several times, and its own system never started: flash-cycle would let it"
    return _several(
        Named(one.id, one.title, why)
        for one in session.scalars(candidates).all()
        if boot.loops(contacts.facts_of(session, one))
    )


def _several(found: Iterable[Named]) -> Several:
    rows, total = [], 0
    for total, one in enumerate(found, 1):
        if total <= NAMED:
            rows.append(one)
    return Several(rows, total)


def live_environment(settings: Settings) -> str | None:
    """Return why machines cannot boot the live environment, or None."""
    try:
        found = live.active(settings.boot_dir)
    except BrokenSetting as error:
        return error.message
    return None if found else "there is none yet: machines that shall be flashed boot their disks"


def full_disk(settings: Settings) -> str | None:
    """Return what to say of a disk of this server that is nearly full, or None."""
    for what, folder in (("images", settings.image_root), ("the database", settings.state_dir)):
        found = _nearly_full(folder, settings.upload_reserve_mib * MIB)
        if found is not None:
            return f"{found} for {what} in {folder}"
    return None


def _nearly_full(folder: Path, reserve: int) -> str | None:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    if usage.free >= max(reserve, usage.total // 20):
        return None
    return f"{size_text(usage.free)} of {size_text(usage.total)} are free"


def counts(session: Session, now: datetime) -> Counts:
    """Return how much there is."""
    today = now - timedelta(days=1)

    def many(state: State) -> int:
        query = select(func.count()).select_from(Attempt)
        return session.scalar(query.where(Attempt.state == state, Attempt.heard_at > today)) or 0

    images, ready = session.execute(
        select(func.count(), func.sum(case((Image.state == ImageState.READY, 1), else_=0)))
    ).one()
    running = select(func.count()).select_from(Attempt).where(Attempt.state.in_([*UNDER_WAY]))
    return Counts(
        machines=session.scalar(select(func.count()).select_from(Machine)) or 0,
        under_way=session.scalar(running) or 0,
        images=images,
        ready=ready or 0,
        done_today=many(State.DONE),
        failed_today=many(State.FAILED),
    )
