"""Machines: how they are found, told apart, and what they are assigned."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from bty_core.machine.dmi import meaningful, plausible_uuid
from bty_core.values import MacAddress
from bty_core.wire.plan import ProvisioningMode
from bty_core.wire.reports import InventoryReport
from bty_web.errors import Conflict, NotFound, TooMuch
from bty_web.models import Attempt, Event, Mac, Machine
from bty_web.models.words import UNDER_WAY, Policy
from bty_web.services.clock import change_stamp
from bty_web.services.history import Actor, record, record_seldom

# What one address may make this server remember without anybody having asked it to.
UNKNOWN_PER_CLIENT = 256
UNKNOWN_WITHIN = timedelta(days=1)
MACS_PER_MACHINE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a contact says of the machine and where it comes from; foreign text, already cut short."""

    address: str | None = None
    platform: str | None = None
    uuid: str | None = None
    serial: str | None = None
    product: str | None = None


def find(session: Session, mac: MacAddress, *, lock: bool = False) -> Machine | None:
    """Return the machine that has `mac`, or None. `lock` it when it is to be changed."""
    query = select(Machine).join(Mac).where(Mac.mac == mac.text)
    if lock:
        query = query.with_for_update(of=Machine)
    return session.scalar(query)


def get(session: Session, mac: MacAddress, *, lock: bool = False) -> Machine:
    """Return the machine that has `mac`; raise `NotFound` where none has."""
    machine = find(session, mac, lock=lock)
    if machine is None:
        raise NotFound(
            f"no machine has the MAC address {mac}",
            hint="it appears when it first boots from the network; or add it by hand",
        )
    return machine


def touch(machine: Machine) -> None:
    """Let pages know that something of `machine` has changed."""
    machine.changed = change_stamp()


def discover(
    session: Session, mac: MacAddress, seen: Seen, *, policy: Policy, now: datetime
) -> Machine:
    """Return the machine of `mac`: known by it, joined by what its firmware says, or new with `policy`.

    Raises `TooMuch` when one client has made too many unknown machines within a day.
    """
    machine = find(session, mac, lock=True) or _joined(session, mac, seen, now)
    if machine is None:
        _bounded(session, seen.address, now)
        machine = add(session, mac, policy=policy, now=now, seen=seen)
        by = Actor("machine", seen.address)
        record(
            session,
            "machine.discovered",
            f"{mac} was seen for the first time; its boot policy is {policy}",
            by=by,
            now=now,
            machine=machine,
        )
    return machine


def add(
    session: Session,
    mac: MacAddress,
    *,
    policy: Policy,
    now: datetime,
    seen: Seen | None = None,
) -> Machine:
    """Add a machine that nobody has; `seen` is the contact that made it known, None for an operator."""
    machine = Machine(
        mac=mac.text,
        boot_policy=policy,
        provisioning_mode=ProvisioningMode.NONE,
        local_boot="auto",
        notes="",
        revision=1,
        discovered_at=now,
        discovered_from=(seen.address or "") if seen else None,
        changed=change_stamp(),
    )
    machine.macs.append(Mac(mac=mac.text))
    session.add(machine)
    session.flush()
    return machine


def add_by_hand(
    session: Session, mac: MacAddress, *, policy: Policy, by: Actor, now: datetime
) -> Machine:
    """Add a machine that has not shown itself yet; raise `Conflict` where one has `mac`."""
    if find(session, mac) is not None:
        raise Conflict(f"{mac} belongs to a machine that is there already")
    machine = add(session, mac, policy=policy, now=now)
    record(session, "machine.added", "was added by hand", by=by, now=now, machine=machine)
    return machine


def _bounded(session: Session, address: str | None, now: datetime) -> None:
    made = session.scalar(
        select(func.count())
        .select_from(Machine)
        .where(
            Machine.discovered_from == (address or ""),
            Machine.discovered_at > now - UNKNOWN_WITHIN,
        )
    )
    if (made or 0) >= UNKNOWN_PER_CLIENT:
        record_seldom(
            session,
            "machine.too-many",
            f"{address} has shown {made} unknown MAC addresses within a day; more are not recorded",
            by=Actor("machine", address),
            now=now,
        )
        session.commit()
        raise TooMuch(
            f"this address has shown {made} unknown machines within a day",
            hint="remove those that are not there, or add this machine by hand",
        )


def _joined(session: Session, mac: MacAddress, seen: Seen, now: datetime) -> Machine | None:
    """Return the one known machine whose firmware says the same as this contact's, with `mac` added to it.

    Two boards may carry the same number: one that fits two machines fits none, and one number alone
    does not fit a machine whose inventory shows all its network interfaces, without this one.
    """
    uuid, serial = plausible_uuid(seen.uuid), meaningful(seen.serial)
    if uuid is None and serial is None:
        return None
    query = select(Machine).limit(2).with_for_update()
    by_uuid = session.scalars(query.where(Machine.uuid == uuid)).all() if uuid else []
    by_serial = session.scalars(query.where(Machine.serial == serial)).all() if serial else []
    found = {one.id: one for one in (*by_uuid, *by_serial)}
    if len(found) != 1:
        return None
    machine = next(iter(found.values()))
    contradicted = (uuid and machine.uuid and machine.uuid != uuid) or (
        serial and machine.serial and machine.serial != serial
    )
    sure = bool(by_uuid) and bool(by_serial)
    count = session.scalar(
        select(func.count()).select_from(Mac).where(Mac.machine_id == machine.id)
    )
    if contradicted or (machine.inventory is not None and not sure):
        return None
    if (count or 0) >= MACS_PER_MACHINE:
        return None
    session.add(Mac(mac=mac.text, machine_id=machine.id))
    touch(machine)
    record(
        session,
        "machine.nic",
        f"{mac} is another network interface of this machine: its firmware says the same",
        by=Actor("machine", seen.address),
        now=now,
        machine=machine,
    )
    session.flush()
    return machine


def take_inventory(
    session: Session,
    machine: Machine,
    report: InventoryReport,
    *,
    by: Actor,
    now: datetime,
) -> None:
    """Keep what `machine` says it has, and learn its further MAC addresses."""
    machine.inventory = report.wire()
    machine.inventory_at = now
    machine.uuid = plausible_uuid(report.uuid) or machine.uuid
    machine.serial = meaningful(report.serial) or machine.serial
    machine.product = meaningful(report.product) or machine.product
    touch(machine)
    for nic in report.nics:
        _learn(session, machine, nic.mac, nic.name, by, now)
    session.flush()


def _learn(
    session: Session, machine: Machine, mac: MacAddress, nic: str, by: Actor, now: datetime
) -> None:
    known = session.get(Mac, mac.text)
    if known is not None and known.machine_id == machine.id:
        known.nic = nic
        return
    if known is not None:
        other = session.get(Machine, known.machine_id)
        if other is None or not _pristine(session, other):
            record_seldom(
                session,
                "machine.nic-claimed",
                f"its inventory shows {mac}, which belongs to another machine; that one keeps it",
                by=by,
                now=now,
                machine=machine,
            )
            return
        # Seen through this interface before anybody knew that it is the same machine.
        record(
            session,
            "machine.nic",
            f"{mac} was recorded as a machine of its own and is an interface of this one",
            by=by,
            now=now,
            machine=machine,
        )
        for row in session.scalars(select(Mac).where(Mac.machine_id == other.id)).all():
            row.machine_id = machine.id
        session.flush()
        _remove(session, other)
        return
    count = session.scalar(
        select(func.count()).select_from(Mac).where(Mac.machine_id == machine.id)
    )
    if (count or 0) < MACS_PER_MACHINE:
        session.add(Mac(mac=mac.text, machine_id=machine.id, nic=nic))
        session.flush()


def _pristine(session: Session, machine: Machine) -> bool:
    """Whether nobody has done anything with `machine`, so that it may become a part of another."""
    touched = (machine.name, machine.group_id, machine.image, machine.target, machine.inventory)
    heard = select(Attempt.id).where(Attempt.machine_id == machine.id, Attempt.client.is_not(None))
    return (
        machine.revision == 1
        and machine.discovered_from is not None
        and machine.reflash_armed_at is None
        and not any(value is not None for value in touched)
        and session.scalar(heard.limit(1)) is None
    )


def forget(session: Session, machine: Machine, *, by: Actor, now: datetime) -> None:
    """Remove `machine` with its attempts; refused while one is under way."""
    busy = select(Attempt.id).where(
        Attempt.machine_id == machine.id, Attempt.state.in_([*UNDER_WAY])
    )
    if session.scalar(busy.limit(1)) is not None:
        raise Conflict(
            f"{machine.title} is being flashed", hint="cancel the attempt, or wait for its end"
        )
    record(session, "machine.removed", "was removed", by=by, now=now, subject=machine.title)
    _remove(session, machine)


def _remove(session: Session, machine: Machine) -> None:
    mine = select(Attempt.id).where(Attempt.machine_id == machine.id)
    session.execute(update(Event).where(Event.attempt_id.in_(mine)).values(attempt_id=None))
    session.execute(update(Event).where(Event.machine_id == machine.id).values(machine_id=None))
    session.execute(delete(Attempt).where(Attempt.machine_id == machine.id))
    session.flush()
    session.expire(machine, ["macs"])
    session.delete(machine)
    session.flush()


def by_ids(session: Session, ids: Iterable[int]) -> list[Machine]:
    """Return the machines with these ids, locked for a change."""
    query = select(Machine).where(Machine.id.in_(list(ids))).with_for_update()
    return list(session.scalars(query))
