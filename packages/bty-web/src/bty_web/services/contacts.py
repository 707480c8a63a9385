"""A contact: a machine asks what to do. Finds it, decides, opens the attempt; the preview does all but that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from sqlalchemy import select
from sqlalchemy.orm import Session

from bty_core.values import MacAddress
from bty_core.wire.plan import ImageOffer, Mode, Options, Plan
from bty_web.models import Attempt, Image, Machine
from bty_web.models.words import AttemptMode, ImageState, Policy, State, Trigger
from bty_web.services import attempts, boot, keys, machines, targets
from bty_web.services.boot import AttemptFacts, Decision, Facts, Flash, OwnDisk, Wizard
from bty_web.services.machines import Seen

_LOOKED_AT = 12  # attempts; a done one of this assignment is looked for beyond them
_FLASHING = frozenset({Policy.FLASH, Policy.FLASH_ONCE, Policy.FLASH_CYCLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """What a machine gets. `attempt` and `token` are there where it is to flash or to show the wizard."""

    machine: Machine
    decision: Decision
    attempt: Attempt | None = None
    token: str | None = None


def contact(
    session: Session,
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
    """
    machine = machines.discover(session, mac, seen, policy=default_policy, now=now)
    machines.saw(machine, seen, now)
    facts = facts_of(session, machine)
    decision = boot.decide(facts, now, grace)
    if isinstance(decision, OwnDisk):
        _sent_to_disk(session, machine, decision, facts, now)
        return Contact(machine=machine, decision=decision)
    if not can_boot:
        return Contact(machine=machine, decision=decision)
    offered = boot.again(facts, decision)
    if offered is not None:
        attempt = session.get_one(Attempt, offered.id)
        attempt.heard_at = now
    elif attempts.too_many(session, machine, now):
        why = f"{attempts.PER_HOUR} attempts were opened for it within an hour"
        return Contact(machine=machine, decision=OwnDisk(why))
    else:
        attempt = attempts.open_for(
            session,
            machine,
            mode=AttemptMode.AUTO if isinstance(decision, Flash) else AttemptMode.INTERACTIVE,
            trigger=decision.trigger if isinstance(decision, Flash) else Trigger.POLICY,
            reason=decision.reason,
            address=seen.address,
            now=now,
        )
    token = keys.attempt_token(key, attempt.id, attempt.nonce)
    return Contact(machine=machine, decision=decision, attempt=attempt, token=token)


def _sent_to_disk(
    session: Session, machine: Machine, decision: OwnDisk, facts: Facts, now: datetime
) -> None:
    if decision.repeated:
        return
    machine.local_served_at = now
    done = next((one for one in facts.attempts if one.state is State.DONE), None)
    if done is not None and not done.own_system:
        session.get_one(Attempt, done.id).own_system_at = now


def preview(session: Session, machine: Machine, *, grace: timedelta, now: datetime) -> Decision:
    """Return what `machine` would get now, without opening anything."""
    return boot.decide(facts_of(session, machine), now, grace)


def facts_of(session: Session, machine: Machine) -> Facts:
    """Gather what a decision needs to know."""
    mine = select(Attempt).where(Attempt.machine_id == machine.id).order_by(Attempt.id.desc())
    found = list(session.scalars(mine.limit(_LOOKED_AT))) if machine.attempt_id else []
    flashing = machine.boot_policy in _FLASHING or machine.reflash_armed_at is not None
    if len(found) == _LOOKED_AT and not any(one.state is State.DONE for one in found):
        done = mine.where(Attempt.state == State.DONE, Attempt.revision == machine.revision)
        found += list(session.scalars(done.limit(1)))
    return Facts(
        policy=machine.boot_policy,
        revision=machine.revision,
        local_served_at=machine.local_served_at,
        reflash_armed_at=machine.reflash_armed_at,
        failures_forgiven_at=machine.failures_forgiven_at,
        obstacle=obstacle(session, machine) if flashing else None,
        attempts=[
            AttemptFacts(
                id=one.id,
                state=one.state,
                mode=one.mode,
                trigger=one.trigger,
                revision=one.revision,
                started_at=one.started_at,
                own_system=one.own_system_at is not None,
                online_under_way=one.online_state in ("waiting", "running"),
            )
            for one in found
        ],
    )


def obstacle(session: Session, machine: Machine) -> str | None:
    """Return why what `machine` is assigned cannot be flashed, or None."""
    if machine.image is None:
        return "no image is assigned"
    image = session.scalar(select(Image).where(Image.name == machine.image))
    if image is None:
        return f"the image {machine.image} is no longer in the catalog"
    match image.state:
        case ImageState.MEASURING:
            return f"the image {image.name} is not measured yet"
        case ImageState.BROKEN:
            return f"the image {image.name} cannot be used: {image.message}"
        case ImageState.READY:
            return targets.why_not(machine)


def plan(
    session: Session,
    machine: Machine,
    attempt: Attempt | None,
    *,
    base_url: str,
    grace: timedelta,
    now: datetime,
) -> Plan:
    """Return what the live environment of `machine` should do.

    An attempt that has not begun follows the assignment as it is now: an operator who corrects a
    mistake while the machine boots is heard. One that has begun goes on as it began.
    """
    decision = preview(session, machine, grace=grace, now=now)
    if attempt is None:
        return _planned(session, machine, decision, None, base_url)
    if attempt.state.over:
        return Plan(
            mode=Mode.LOCAL, attempt=attempt.id, reason=f"attempt {attempt.id} is {attempt.state}"
        )
    if attempt.mode is AttemptMode.INTERACTIVE:
        return Plan(mode=Mode.INTERACTIVE, attempt=attempt.id, reason=attempt.reason)
    if attempt.state is State.OFFERED:
        if isinstance(decision, Flash):
            attempts.aim(session, machine, attempt)
            attempt.trigger = decision.trigger
        return _planned(session, machine, decision, attempt, base_url)
    return Plan(
        mode=Mode.AUTO,
        attempt=attempt.id,
        image=_offer(session, attempt.image, base_url),
        target=attempt.target,
        options=Options(),
        provisioning=machine.provisioning_mode,
    )


def _planned(
    session: Session, machine: Machine, decision: Decision, attempt: Attempt | None, base_url: str
) -> Plan:
    number = attempt.id if attempt else None
    match decision:
        case OwnDisk(reason=reason):
            return Plan(mode=Mode.LOCAL, attempt=number, reason=reason)
        case Wizard(reason=reason):
            return Plan(mode=Mode.INTERACTIVE, attempt=number, reason=reason)
        case Flash(reason=reason):
            return Plan(
                mode=Mode.AUTO,
                attempt=number,
                reason=reason,
                image=_offer(session, machine.image, base_url),
                target=machine.target,
                provisioning=machine.provisioning_mode,
            )


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
