"""What a contact reads and writes."""

from __future__ import annotations

import typing
from contextlib import ExitStack
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Table,
    Text,
    bindparam,
    cast,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from bty_web.direct import Direct, Statement, reading
from bty_web.models import Attempt, Image, Mac, Machine, Seed, Workflow
from bty_web.models.words import State

LOOKED_AT = 12  # attempts; a done one of this assignment is looked for beyond them

_OPENED = 8  # connections

_machines = typing.cast(Table, Machine.__table__)
_attempts = typing.cast(Table, Attempt.__table__)
_images = typing.cast(Table, Image.__table__)
_workflows = typing.cast(Table, Workflow.__table__)
_seeds = typing.cast(Table, Seed.__table__)
_macs = typing.cast(Table, Mac.__table__)

_COLUMNS = [
    "id",
    "mac",
    "name",
    "boot_policy",
    "provisioning_mode",
    "workflow",
    "revision",
    "image",
    "target",
    "local_boot",
    "local_served_at",
    "reflash_armed_at",
    "failures_forgiven_at",
    "attempt_id",
    "platform",
    "uuid",
    "serial",
    "product",
    "changed",
]
_MACHINE = select(
    *(_machines.c[name] for name in _COLUMNS),
    # As text: it is only looked at where a disk has to be found in it.
    cast(_machines.c.inventory, Text).label("inventory"),
    _images.c.state.label("image_state"),
    _images.c.message.label("image_message"),
    _images.c.sha256.label("image_sha256"),
    exists()
    .where(or_(_seeds.c.machine_id == _machines.c.id, _seeds.c.group_id == _machines.c.group_id))
    .label("has_seed"),
    exists()
    .where(
        or_(
            _workflows.c.name == _machines.c.workflow,
            _workflows.c.name + "@" + cast(_workflows.c.version, Text) == _machines.c.workflow,
        )
    )
    .label("has_workflow"),
).select_from(
    _macs.join(_machines, _macs.c.machine_id == _machines.c.id).outerjoin(
        _images, _images.c.name == _machines.c.image
    )
)
_BY_MAC = Statement(_MACHINE.where(_macs.c.mac == bindparam("mac")))
_BY_ID = Statement(
    _MACHINE.where(_machines.c.id == bindparam("machine"), _macs.c.mac == _machines.c.mac)
)
_MINE = (
    select(
        *(
            _attempts.c[name]
            for name in [
                "id",
                "state",
                "mode",
                "trigger",
                "revision",
                "started_at",
                "own_system_at",
                "online_state",
                "nonce",
                "image",
            ]
        )
    )
    .where(_attempts.c.machine_id == bindparam("machine"))
    .order_by(_attempts.c.id.desc())
)
_NEWEST = Statement(_MINE.limit(LOOKED_AT))
_DONE = Statement(
    _MINE.where(
        _attempts.c.state == State.DONE, _attempts.c.revision == bindparam("revision")
    ).limit(1)
)
_LATELY = Statement(
    select(func.count().label("count"))
    .select_from(_attempts)
    .where(
        _attempts.c.machine_id == bindparam("machine"), _attempts.c.started_at > bindparam("since")
    )
)
_SEEN = Statement(
    update(_machines)
    .where(_machines.c.id == bindparam("machine"), _machines.c.changed == bindparam("was"))
    .values(
        {
            name: bindparam(name)
            for name in [
                "last_seen_at",
                "last_seen_ip",
                "platform",
                "uuid",
                "serial",
                "product",
                "local_served_at",
                "attempt_id",
                "changed",
            ]
        }
    )
    .returning(_machines.c.id)
)
_OFFERED_AGAIN = Statement(
    update(_attempts)
    .where(_attempts.c.id == bindparam("attempt"))
    .values(heard_at=bindparam("now"))
    .returning(_attempts.c.id)
)
_OWN_SYSTEM = Statement(
    update(_attempts)
    .where(_attempts.c.id == bindparam("attempt"))
    .values(own_system_at=bindparam("now"))
    .returning(_attempts.c.id)
)
_OPEN = Statement(
    insert(_attempts)
    .values(
        {
            name: bindparam(name)
            for name in [
                "machine_id",
                "revision",
                "state",
                "mode",
                "trigger",
                "reason",
                "nonce",
                "offered_to",
                "image",
                "image_sha256",
                "target",
                "started_at",
                "heard_at",
                "source_bytes",
                "disk_bytes",
            ]
        }
    )
    .returning(_attempts.c.id)
)

Database = Session | Connection | Direct


def machine_of(database: Database, mac: str) -> Any:
    """Return what a contact reads of the machine that has `mac` and of its image, or None."""
    return next(iter(_BY_MAC.rows(database, mac=mac)), None)


def machine(database: Database, machine_id: int) -> Any:
    """Return what a contact would read of a machine."""
    (found,) = _BY_ID.rows(database, machine=machine_id)
    return found


def newest_attempts(database: Database, machine_id: int, revision: int) -> list[Any]:
    """Return the newest attempts of a machine, and one that is done for this revision if there is any."""
    found = _NEWEST.rows(database, machine=machine_id)
    if len(found) == LOOKED_AT and not any(one.state is State.DONE for one in found):
        found += _DONE.rows(database, machine=machine_id, revision=revision)
    return found


def attempts_since(database: Database, machine_id: int, since: Any) -> int:
    """Return how many attempts of a machine were opened since then."""
    (found,) = _LATELY.rows(database, machine=machine_id, since=since)
    return int(found.count)


def seen(database: Database, machine_id: int, was: int, values: dict[str, Any]) -> bool:
    """Write what a contact changes of a machine; False when it has changed since `was`."""
    return bool(_SEEN.rows(database, machine=machine_id, was=was, **values))


def offered_again(database: Database, attempt: int, now: Any) -> None:
    """Let the silence of an attempt begin anew."""
    _OFFERED_AGAIN.rows(database, attempt=attempt, now=now)


def own_system(database: Database, attempt: int, now: Any) -> None:
    """Note that the machine was sent to its own disk after this attempt."""
    _OWN_SYSTEM.rows(database, attempt=attempt, now=now)


def open_attempt(database: Database, values: dict[str, Any]) -> int:
    """Add the row of a new attempt; return its number."""
    (added,) = _OPEN.rows(database, **values)
    return int(added.id)


def make_ready(engine: Engine) -> None:
    """Make the statements, and open a few connections, before a rack waits for it."""
    with ExitStack() as stack:
        opened = [stack.enter_context(reading(engine)) for _ in range(_OPENED)]
        for statement in (
            _BY_MAC,
            _NEWEST,
            _DONE,
            _LATELY,
            _SEEN,
            _OFFERED_AGAIN,
            _OWN_SYSTEM,
            _OPEN,
        ):
            statement.made(engine.dialect)
        for connection in opened:
            machine_of(connection, "")
            newest_attempts(connection, 0, 0)
