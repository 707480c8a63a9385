"""A contact: a machine asks what to do. Finds it, decides, opens the attempt; the preview does all but that."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from bty_core.errors import BtyError
from bty_core.machine.dmi import meaningful, plausible_uuid
from bty_core.values import MacAddress
from bty_core.wire.plan import ImageOffer, Mode, Options, Plan, Provisioning
from bty_web.database import working
from bty_web.direct import Direct, reading, writing
from bty_web.models import Attempt, Image, Machine
from bty_web.models.words import (
    RUN_UNDER_WAY,
    AttemptMode,
    ImageState,
    Policy,
    State,
    Trigger,
)
from bty_web.services import attempts, boot, contact_rows, keys, machines, provisioning, targets
from bty_web.services.attempts import Opening
from bty_web.services.boot import AttemptFacts, Decision, Facts, Flash, OwnDisk, Wizard
from bty_web.services.clock import change_stamp
from bty_web.services.contact_rows import Database
from bty_web.services.machines import Seen
from bty_web.services.vault import Vault

_TRIES = 20  # a contact that loses against another change looks again
FLASHING = frozenset({Policy.FLASH, Policy.FLASH_ONCE, Policy.FLASH_CYCLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """What a machine gets. `attempt` and `token` are there where it is to flash or to show the wizard."""

    title: str
    local_boot: str
    decision: Decision
    attempt: int | None = None
    token: str | None = None
    image: str | None = None


def contact(
    engine: Engine,
    mac: MacAddress,
    seen: Seen,
    *,
    default_policy: Policy,
    grace: timedelta,
    key: bytes,
    now: datetime,
    can_boot: bool = True,
) -> Contact:
    """Record the contact, decide, and open the attempt that the decision needs (or offer it again).

    Where there is no live environment, because of which nothing `can_boot`, no attempt is opened.

    A rack that powers on asks all at once, so the lock for writing is held for the writing alone:
    what was read before it must still be true then, otherwise everything is looked at again.
    """
    for _ in range(_TRIES):
        with reading(engine) as connection:
            machine = contact_rows.machine_of(connection, mac.text)
            known = _known(connection, machine) if machine is not None else None
        if known is None:
            with working(engine) as session:
                machines.discover(session, mac, seen, policy=default_policy, now=now)
            continue
        decision = boot.decide(known.facts, now, grace)
        with suppress(_Outdated):
            with writing(engine) as connection:
                answer = _written(connection, machine, known, decision, seen, now, can_boot)
            number, nonce = answer.attempt, answer.nonce
            return Contact(
                title=machine.name or machine.mac,
                local_boot=machine.local_boot,
                decision=answer.decision,
                attempt=number,
                token=keys.attempt_token(key, number, nonce) if number else None,
                image=answer.image,
            )
    raise BtyError(f"{mac} is changed by others all the time", hint="try again")


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read for a decision: the facts, and the rows that they were made of."""

    facts: Facts
    attempts: list[Any]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What was written: the decision in the end, and the attempt that goes with it."""

    decision: Decision
    attempt: int | None = None
    nonce: str = ""
    image: str | None = None


class _Outdated(Exception):
    """Somebody else has changed the machine since it was read: nothing is written."""


def _written(
    connection: Direct,
    machine: Any,
    known: _Known,
    decision: Decision,
    seen: Seen,
    now: datetime,
    can_boot: bool,
) -> _Answer:
    answer = _Answer(decision)
    own_disk = isinstance(decision, OwnDisk) and not decision.repeated
    if own_disk:
        done = next((one for one in known.facts.attempts if one.state is State.DONE), None)
        if done is not None and not done.own_system:
            contact_rows.own_system(connection, done.id, now)
    elif can_boot and not isinstance(decision, OwnDisk):
        answer = _with_attempt(connection, machine, known, decision, seen, now)
    values = {
        "last_seen_at": now,
        "last_seen_ip": seen.address,
        "platform": seen.platform or machine.platform,
        "uuid": plausible_uuid(seen.uuid) or machine.uuid,
        "serial": meaningful(seen.serial) or machine.serial,
        "product": meaningful(seen.product) or machine.product,
        "local_served_at": now if own_disk else machine.local_served_at,
        "attempt_id": answer.attempt or machine.attempt_id,
        "changed": max(change_stamp(), machine.changed + 1),
    }
    if not contact_rows.seen(connection, machine.id, machine.changed, values):
        raise _Outdated
    return answer


def _with_attempt(
    connection: Direct,
    machine: Any,
    known: _Known,
    decision: Wizard | Flash,
    seen: Seen,
    now: datetime,
) -> _Answer:
    """Offer the latest attempt again, or open one."""
    offered = boot.again(known.facts, decision)
    if offered is not None:
        row = next(one for one in known.attempts if one.id == offered.id)
        contact_rows.offered_again(connection, offered.id, now)
        return _Answer(decision, row.id, row.nonce, row.image)
    many = len(known.attempts) >= contact_rows.LOOKED_AT
    if many and attempts.too_many(connection, machine.id, now):
        why = f"{attempts.PER_HOUR} attempts were opened for it within an hour"
        return _Answer(OwnDisk(why))
    opening = Opening(
        machine_id=machine.id,
        revision=machine.revision,
        mode=AttemptMode.INTERACTIVE,
        trigger=Trigger.POLICY,
        reason=decision.reason,
        address=seen.address,
    )
    if isinstance(decision, Flash):
        opening = replace(
            opening,
            mode=AttemptMode.AUTO,
            trigger=decision.trigger,
            image=machine.image,
            image_sha256=machine.image_sha256,
            target=machine.target,
        )
    number, nonce = attempts.insert_into(connection, opening, now)
    return _Answer(decision, number, nonce, opening.image)


def preview(session: Session, machine: Machine, *, grace: timedelta, now: datetime) -> Decision:
    """Return what `machine` would get now, without opening anything."""
    return boot.decide(facts_of(session, machine), now, grace)


def facts_of(session: Session, machine: Machine) -> Facts:
    """Gather what a decision needs to know."""
    session.flush()
    return _known(session, contact_rows.machine(session, machine.id)).facts


def _known(database: Database, machine: Any) -> _Known:
    """Read what a decision about `machine`, a row of `contact_rows`, needs to know."""
    rows: list[Any] = []
    if machine.attempt_id:
        rows = contact_rows.newest_attempts(database, machine.id, machine.revision)
    flashing = machine.boot_policy in FLASHING or machine.reflash_armed_at is not None
    facts = Facts(
        policy=machine.boot_policy,
        revision=machine.revision,
        local_served_at=machine.local_served_at,
        reflash_armed_at=machine.reflash_armed_at,
        failures_forgiven_at=machine.failures_forgiven_at,
        obstacle=_obstacle(machine) if flashing else None,
        attempts=[
            AttemptFacts(
                id=one.id,
                state=one.state,
                mode=one.mode,
                trigger=one.trigger,
                revision=one.revision,
                started_at=one.started_at,
                own_system=one.own_system_at is not None,
                online_under_way=one.online_state in RUN_UNDER_WAY,
            )
            for one in rows
        ],
    )
    return _Known(facts, rows)


def obstacle(session: Session, machine: Machine) -> str | None:
    """Return why what `machine` is assigned cannot be flashed, or None."""
    session.flush()
    return _obstacle(contact_rows.machine(session, machine.id))


def _obstacle(machine: Any) -> str | None:
    why = image_obstacle(machine.image, machine.image_state, machine.image_message)
    if why is not None:
        return why
    if machine.target is None:
        return "no target disk is chosen"
    why = provisioning.obstacle(
        machine.provisioning_mode,
        has_seed=bool(machine.has_seed),
        workflow=machine.workflow,
        has_workflow=bool(machine.has_workflow),
    )
    if why is not None:
        return why
    inventory = json.loads(machine.inventory) if machine.inventory else None
    return targets.why_not(inventory, machine.target)


def image_obstacle(name: str | None, state: ImageState | None, message: str | None) -> str | None:
    """Return why an assigned image cannot be flashed, or None; `state` is None where it is gone."""
    if name is None:
        return "no image is assigned"
    match state:
        case None:
            return f"the image {name} is no longer in the catalog"
        case ImageState.MEASURING:
            return f"the image {name} is not measured yet"
        case ImageState.BROKEN:
            return f"the image {name} cannot be used: {message}"
        case ImageState.READY:
            return None


def plan(
    session: Session,
    machine: Machine,
    attempt: Attempt | None,
    *,
    base_url: str,
    grace: timedelta,
    now: datetime,
    vault: Vault | None = None,
) -> Plan:
    """Return what the live environment of `machine` should do; `vault` is there where `attempt` is.

    An attempt that has not begun follows the assignment as it is now: an operator who corrects a
    mistake while the machine boots is heard. One that has begun goes on as it began. So does one
    that was abandoned and that nothing replaced: whoever asks with its token is late, not gone.
    """
    decision = preview(session, machine, grace=grace, now=now)
    if attempt is None or vault is None:
        told = Provisioning(mode=machine.provisioning_mode)
        return _planned(session, machine, decision, None, base_url, told)
    late = attempt.state is State.ABANDONED
    if attempt.state.over and not late:
        return Plan(
            mode=Mode.LOCAL, attempt=attempt.id, reason=f"attempt {attempt.id} is {attempt.state}"
        )
    if attempt.mode is AttemptMode.INTERACTIVE:
        return Plan(
            mode=Mode.INTERACTIVE,
            attempt=attempt.id,
            reason=attempt.reason,
            provisioning=Provisioning(mode=machine.provisioning_mode),
        )
    if attempt.state is State.OFFERED or (late and attempt.phase is None):
        if isinstance(decision, Flash):
            attempts.aim(session, machine, attempt)
            attempt.trigger = decision.trigger
            told = provisioning.for_attempt(session, machine, attempt, vault, base_url, now)
        else:
            told = Provisioning()
        return _planned(session, machine, decision, attempt, base_url, told)
    return Plan(
        mode=Mode.AUTO,
        attempt=attempt.id,
        image=_offer(session, attempt.image, base_url),
        target=attempt.target,
        options=_options(machine),
        provisioning=provisioning.for_attempt(session, machine, attempt, vault, base_url, now),
    )


def _planned(
    session: Session,
    machine: Machine,
    decision: Decision,
    attempt: Attempt | None,
    base_url: str,
    told: Provisioning,
) -> Plan:
    number = attempt.id if attempt else None
    match decision:
        case OwnDisk(reason=reason):
            return Plan(mode=Mode.LOCAL, attempt=number, reason=reason)
        case Wizard(reason=reason):
            offered = Provisioning(mode=machine.provisioning_mode)
            return Plan(mode=Mode.INTERACTIVE, attempt=number, reason=reason, provisioning=offered)
        case Flash(reason=reason):
            return Plan(
                mode=Mode.AUTO,
                attempt=number,
                reason=reason,
                image=_offer(session, machine.image, base_url),
                target=machine.target,
                options=_options(machine),
                provisioning=told,
            )


def _options(machine: Machine) -> Options:
    return Options(verify=machine.verify, fix_gpt=machine.fix_gpt, uefi_entry=machine.uefi_entry)


def _offer(session: Session, name: str | None, base_url: str) -> ImageOffer | None:
    image = session.scalar(select(Image).where(Image.name == name)) if name else None
    return offer(image, base_url) if image else None


def offer(image: Image, base_url: str) -> ImageOffer:
    """Return `image` as it is offered to machines; `base_url` ends without a slash."""
    return ImageOffer(
        name=image.name,
        url=f"{base_url}/images/{quote(image.name, safe='')}",
        format=image.format,
        sha256=image.sha256,
        size_bytes=image.size_bytes,
        virtual_size_bytes=image.virtual_size_bytes,
        disk_sha256=image.disk_sha256,
        description=image.description,
    )
