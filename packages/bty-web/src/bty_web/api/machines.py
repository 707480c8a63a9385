"""Machines: found, added, assigned, reflashed, removed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bty_core.values import MacAddress
from bty_core.wire.fields import InvalidField
from bty_web.api import auth, reading
from bty_web.api.attempts import attempt_values
from bty_web.api.machine_schemas import (
    Assignment,
    BootPreview,
    BulkAnswer,
    BulkRequest,
    Decided,
    MachineAnswer,
    MachineChange,
    MachineDetail,
    MachinePage,
    MachineQuery,
)
from bty_web.api.operations import PREFIX, Reply, operation
from bty_web.api.paging import page_of
from bty_web.errors import BrokenSetting
from bty_web.extensions import db, writing
from bty_web.models import Mac, Machine
from bty_web.models.words import Policy, Scope
from bty_web.security import settings
from bty_web.services import assignments, clock, contacts, listing, live, machines, turns
from bty_web.services.assignments import Change
from bty_web.services.boot import Decision, Flash, OwnDisk, Wizard
from bty_web.services.history import record
from bty_web.services.listing import MachineFilter, MachineRow

_JOINED = {"macs", "group", "attempt"}


@operation(
    "GET",
    "/machines",
    tag="machines",
    scope=Scope.READ,
    query=MachineQuery,
    answers={200: MachinePage},
)
def list_machines(query: MachineQuery) -> Reply:
    """List machines."""
    session = db.session()
    wanted = MachineFilter(
        search=query.search,
        state=query.state,
        policy=query.policy,
        image=query.image,
        group=query.group,
    )
    found = listing.machines(session, wanted, sort=query.sort, number=query.page, size=query.size)
    return page_of(MachinePage, found, _values(session, found.rows, MachineAnswer), query)


@operation(
    "PATCH",
    "/machines",
    tag="machines",
    scope=Scope.OPERATE,
    body=BulkRequest,
    answers={200: BulkAnswer},
    problems=[404],
)
def change_machines(body: BulkRequest) -> BulkAnswer:
    """Change many machines.

    All of them or, when anything is refused, none.
    """
    if bool(body.macs) == (body.filter is not None):
        raise InvalidField("macs", "give either 'macs' or 'filter'", hint="'filter': {} is all")
    wanted = Change.of(**body.change.given())
    macs = [reading.mac_address(f"macs[{at}]", text) for at, text in enumerate(body.macs)]
    now, by = clock.now(), auth.actor()
    with writing() as session:
        if body.filter is not None:
            meant = MachineFilter(**body.filter.model_dump(exclude_unset=True))
            ids = listing.machine_ids(session, meant)
        else:
            ids = list(dict.fromkeys(machines.get(session, mac).id for mac in macs))
        changed = [
            machine.mac
            for machine in machines.by_ids(session, sorted(ids))
            if assignments.change(session, machine, wanted, by=by, now=now)
        ]
    return BulkAnswer(matched=len(ids), changed=changed)


@operation(
    "GET",
    "/machines/{mac}",
    tag="machines",
    scope=Scope.READ,
    answers={200: MachineDetail},
    problems=[404],
)
def show_machine(mac: MacAddress) -> MachineDetail:
    """Show one machine with its inventory."""
    session = db.session()
    return _detail(session, machines.get(session, mac))


@operation(
    "PUT",
    "/machines/{mac}",
    tag="machines",
    scope=Scope.OPERATE,
    body=Assignment,
    answers={200: MachineDetail, 201: MachineDetail},
)
def put_machine(mac: MacAddress, body: Assignment) -> Reply:
    """Add a machine, or replace what is decided about one.

    Fields that are left out become what a new machine has. 201: it was added.
    """
    values: dict[str, Any] = {name: getattr(body, name) for name in Assignment.model_fields}
    default = settings().default_policy
    values["boot_policy"] = values["boot_policy"] or default
    now, by = clock.now(), auth.actor()
    with writing() as session:
        machine = machines.find(session, mac, lock=True)
        added = machine is None
        if machine is None:
            machine = machines.add(session, mac, policy=Policy(default), now=now)
            record(session, "machine.added", "was added by hand", by=by, now=now, machine=machine)
        assignments.change(session, machine, Change.of(**values), by=by, now=now)
        content = _detail(session, machine)
    if not added:
        return Reply(content, 200)
    return Reply(content, 201, {"Location": f"{PREFIX}/machines/{content.mac}"})


@operation(
    "PATCH",
    "/machines/{mac}",
    tag="machines",
    scope=Scope.OPERATE,
    body=MachineChange,
    answers={200: MachineDetail},
    problems=[404],
)
def change_machine(mac: MacAddress, body: MachineChange) -> MachineDetail:
    """Change a machine.

    Fields that are left out stay as they are. Another image, target, provisioning mode, option of the flash
    or policy is a new revision of the assignment: `flash-once` and `flash-cycle` begin anew, and earlier failures are
    forgiven.
    """
    now, by = clock.now(), auth.actor()
    with writing() as session:
        machine = machines.get(session, mac, lock=True)
        assignments.change(session, machine, Change.of(**body.given()), by=by, now=now)
        return _detail(session, machine)


@operation(
    "DELETE",
    "/machines/{mac}",
    tag="machines",
    scope=Scope.OPERATE,
    answers={204: None},
    problems=[404, 409],
)
def remove_machine(mac: MacAddress) -> None:
    """Remove a machine with its attempts.

    It comes back, without an assignment, when it boots from the network again. 409: it is being flashed.
    """
    with writing() as session:
        machine = machines.get(session, mac, lock=True)
        machines.forget(session, machine, by=auth.actor(), now=clock.now())


@operation(
    "POST",
    "/machines/{mac}/reflash",
    tag="machines",
    scope=Scope.OPERATE,
    answers={200: MachineDetail},
    problems=[404],
)
def arm_reflash(mac: MacAddress) -> MachineDetail:
    """Let the next network boot flash the machine, whatever its policy.

    It stays so until an attempt that was opened for it is done.
    """
    with writing() as session:
        machine = machines.get(session, mac, lock=True)
        assignments.arm(session, machine, by=auth.actor(), now=clock.now())
        return _detail(session, machine)


@operation(
    "DELETE",
    "/machines/{mac}/reflash",
    tag="machines",
    scope=Scope.OPERATE,
    answers={200: MachineDetail},
    problems=[404],
)
def disarm_reflash(mac: MacAddress) -> MachineDetail:
    """Take back a reflash that was asked for.

    An attempt that is under way goes on; cancel that one.
    """
    with writing() as session:
        machine = machines.get(session, mac, lock=True)
        assignments.disarm(session, machine, by=auth.actor(), now=clock.now())
        return _detail(session, machine)


@operation(
    "GET",
    "/machines/{mac}/boot",
    tag="machines",
    scope=Scope.READ,
    answers={200: BootPreview},
    problems=[404],
)
def preview_boot(mac: MacAddress) -> BootPreview:
    """Show what the machine would get if it booted from the network now.

    Nothing is opened, and nothing is noted.
    """
    session, now_in_force = db.session(), settings()
    machine = machines.get(session, mac)
    grace = timedelta(seconds=now_in_force.local_boot_grace)
    decision = contacts.preview(session, machine, grace=grace, now=clock.now())
    return BootPreview(
        decision=_decided(decision),
        reason=decision.reason,
        obstacle=contacts.facts_of(session, machine).obstacle,
        live_environment=_live_version(),
    )


def _live_version() -> str | None:
    try:
        found = live.active(settings().boot_dir)
    except BrokenSetting:
        return None
    return found.version if found else None


def _decided(decision: Decision) -> Decided:
    match decision:
        case OwnDisk():
            return Decided.LOCAL
        case Wizard():
            return Decided.WIZARD
        case Flash():
            return Decided.FLASH


def _detail(session: Session, machine: Machine) -> MachineDetail:
    row = listing.machine_row(session, machine.id)
    assert row is not None
    return MachineDetail.model_validate(_values(session, [row], MachineDetail)[0])


def _values(
    session: Session, rows: Sequence[MachineRow], kind: type[MachineAnswer]
) -> list[dict[str, Any]]:
    macs: dict[int, list[str]] = defaultdict(list)
    mine = select(Mac.machine_id, Mac.mac).where(Mac.machine_id.in_([r.machine.id for r in rows]))
    for number, mac in session.execute(mine.order_by(Mac.mac)):
        macs[number].append(mac)
    newest = [row.attempt for row in rows if row.attempt]
    positions = turns.positions(session, newest, clock.now())
    columns = kind.model_fields.keys() - _JOINED
    return [
        {
            **{name: getattr(row.machine, name) for name in columns},
            "macs": macs[row.machine.id],
            "group": row.group,
            "attempt": attempt_values(row.attempt, row.machine, positions) if row.attempt else None,
        }
        for row in rows
    ]
