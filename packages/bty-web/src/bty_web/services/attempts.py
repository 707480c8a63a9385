"""Attempts: opened by a contact, moved by the reports of whoever has the token, ended by exactly one thing."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from bty_web.errors import AttemptEnded, Conflict, NotAllowed, NotFound, TooMuch
from bty_web.models import Attempt, Image, Machine
from bty_web.models.words import UNDER_WAY, AttemptMode, Policy, State, Trigger
from bty_web.services import assignments, contact_rows, keys, machines
from bty_web.services.contact_rows import Database
from bty_web.services.history import BTY, Actor, record, record_seldom

SILENCE = timedelta(minutes=5)
OFFERED_SILENCE = timedelta(minutes=15)
PER_HOUR = 60  # attempts of one machine; more than any boot loop of real firmware makes
_AT_ONCE = 100  # attempts that are given up in one go, while other writers wait


def get(session: Session, number: int, *, lock: bool = False) -> Attempt:
    """Return the attempt; raise `NotFound`."""
    query = select(Attempt).where(Attempt.id == number)
    found = session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise NotFound(f"there is no attempt {number}")
    return found


def latest(session: Session, machine: Machine) -> Attempt | None:
    """Return the newest attempt of `machine`."""
    return session.get(Attempt, machine.attempt_id) if machine.attempt_id else None


def comes_from(session: Session, address: str | None) -> bool:
    """Whether `address` is that of a machine with an attempt that goes on."""
    mine = or_(
        Attempt.client == address, Attempt.client.is_(None) & (Attempt.offered_to == address)
    )
    going_on = Attempt.state.in_([State.OFFERED, *UNDER_WAY])
    return session.scalar(select(Attempt.id).where(mine, going_on).limit(1)) is not None


def too_many(database: Database, machine_id: int, now: datetime) -> bool:
    """Whether so many attempts were opened for a machine within the hour that nothing real needs another."""
    return contact_rows.attempts_since(database, machine_id, now - timedelta(hours=1)) >= PER_HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a new attempt is opened for; `image` and `target` where nobody chooses them later."""

    machine_id: int
    revision: int
    mode: AttemptMode
    trigger: Trigger
    reason: str | None = None
    image: str | None = None
    image_sha256: str | None = None
    target: str | None = None
    address: str | None = None


def insert_into(database: Database, opening: Opening, now: datetime) -> tuple[int, str]:
    """Add the row of a new attempt; return its number and its nonce. The machine must be told."""
    nonce = secrets.token_hex(8)
    values = {
        "machine_id": opening.machine_id,
        "revision": opening.revision,
        "state": State.OFFERED,
        "mode": opening.mode,
        "trigger": opening.trigger,
        "reason": opening.reason[:1000] if opening.reason else None,
        "nonce": nonce,
        "offered_to": opening.address,
        "image": opening.image,
        "image_sha256": opening.image_sha256,
        "target": opening.target,
        "started_at": now,
        "heard_at": now,
        "source_bytes": 0,
        "disk_bytes": 0,
    }
    return contact_rows.open_attempt(database, values), nonce


def open_by_hand(
    session: Session,
    machine: Machine,
    *,
    address: str | None,
    console: str | None = None,
    now: datetime,
) -> Attempt:
    """Open an interactive attempt for a wizard that was started by hand at `console`; raise `TooMuch`."""
    if too_many(session, machine.id, now):
        raise TooMuch(
            f"{machine.title} has opened {PER_HOUR} attempts within an hour",
            hint="wait a while; the newest attempt can still be used",
        )
    opening = Opening(
        machine_id=machine.id,
        revision=machine.revision,
        mode=AttemptMode.INTERACTIVE,
        trigger=Trigger.WIZARD,
        address=address,
    )
    machine.attempt_id, _ = insert_into(session, opening, now)
    machines.touch(machine)
    attempt = get(session, machine.attempt_id)
    attempt.console = console
    return attempt


def aim(session: Session, machine: Machine, attempt: Attempt) -> None:
    """Let an automatic attempt mean what `machine` is assigned now."""
    attempt.revision = machine.revision
    attempt.image = machine.image
    attempt.image_sha256 = session.scalar(select(Image.sha256).where(Image.name == machine.image))
    attempt.target = machine.target


def bearer(
    session: Session,
    machine: Machine,
    token: str,
    *,
    key: bytes,
    address: str | None,
    now: datetime,
) -> Attempt:
    """Return the attempt of `machine` that `token` belongs to, and bind it to its first user's address.

    A token proves who booted this attempt. The first use of a newer one supersedes what is older.
    Raises `NotAllowed` for a forged token or another address and `AttemptEnded` for a superseded
    attempt; both leave an event and change nothing else.
    """
    by = Actor("machine", address)
    number = keys.attempt_of(token)
    attempt = session.get(Attempt, number, with_for_update=True) if number else None
    if (
        attempt is None
        or attempt.machine_id != machine.id
        or not keys.same(token, keys.attempt_token(key, attempt.id, attempt.nonce))
    ):
        _refused(session, machine, "a token that belongs to no attempt of this machine", by, now)
        raise NotAllowed(
            f"this token belongs to no attempt of {machine.title}",
            hint="boot the machine from the network again: it gets a new one",
        )
    if attempt.client is not None and attempt.client != address:
        _refused(
            session, machine, f"the token of attempt {attempt.id} from another address", by, now
        )
        raise NotAllowed(
            f"the token of attempt {attempt.id} belongs to another address",
            hint="boot the machine from the network again: it gets a new one",
        )
    if attempt.state is State.SUPERSEDED:
        _refused(session, machine, f"attempt {attempt.id}, which was superseded", by, now)
        raise AttemptEnded(
            f"attempt {attempt.id} was superseded by attempt {attempt.superseded_by}",
            hint="the machine has booted again since; nothing was changed",
        )
    if attempt.client is None:
        attempt.client = address or ""
        session.flush()
        _supersede_older(session, attempt, now)
    return attempt


def _refused(session: Session, machine: Machine, what: str, by: Actor, now: datetime) -> None:
    record_seldom(
        session, "attempt.refused", f"refused a report with {what}", by=by, now=now, machine=machine
    )
    session.commit()


def _supersede_older(session: Session, attempt: Attempt, now: datetime) -> None:
    open_states = [State.OFFERED, State.ABANDONED, *UNDER_WAY]
    session.execute(
        update(Attempt)
        .where(
            Attempt.machine_id == attempt.machine_id,
            Attempt.id < attempt.id,
            Attempt.state.in_(open_states),
        )
        .values(
            state=State.SUPERSEDED,
            superseded_by=attempt.id,
            ended_at=func.coalesce(Attempt.ended_at, now),
        )
        .execution_options(synchronize_session="fetch")
    )


def set_local(session: Session, machine: Machine, attempt: Attempt, now: datetime) -> None:
    """Let a machine that a person has just flashed boot its own disk from now on."""
    if attempt.mode is not AttemptMode.INTERACTIVE or attempt.state is not State.DONE:
        raise Conflict(
            f"attempt {attempt.id} is {attempt.state} and {attempt.mode}: only a finished interactive one "
            "may set the policy"
        )
    newer = select(Attempt.id).where(
        Attempt.machine_id == machine.id, Attempt.id > attempt.id, Attempt.client.is_not(None)
    )
    if session.scalar(newer.limit(1)) is not None:
        raise Conflict(
            f"{machine.title} has booted again since attempt {attempt.id}: its policy stays"
        )
    assignments.change(
        session,
        machine,
        assignments.Change.of(boot_policy=Policy.LOCAL.value),
        by=Actor("machine", attempt.client),
        now=now,
    )


def cancel(
    session: Session, machine: Machine, attempt: Attempt, *, by: Actor, now: datetime
) -> None:
    """Ask the machine to stop; an attempt that it has not begun ends at once. Raises `AttemptEnded`."""
    match attempt.state:
        case State.DONE | State.FAILED | State.CANCELLED | State.SUPERSEDED:
            raise ended(attempt)
        case State.OFFERED | State.ABANDONED | State.QUEUED:
            attempt.state = State.CANCELLED
            attempt.ended_at = now
            attempt.cancel_asked_at = now
            told = f"attempt {attempt.id} was cancelled before it began"
        case State.RUNNING | State.VERIFYING | State.PROVISIONING:
            attempt.cancel_asked_at = attempt.cancel_asked_at or now
            told = f"attempt {attempt.id} is asked to stop: its disk will not boot"
        case _:
            assert_never(attempt.state)
    machines.touch(machine)
    record(session, "attempt.cancel", told, by=by, now=now, machine=machine, attempt=attempt)


def time_out(session: Session, now: datetime) -> int:
    """Give up the attempts that were silent for too long; return how many."""
    silent = or_(
        (Attempt.state == State.OFFERED) & (Attempt.heard_at < now - OFFERED_SILENCE),
        Attempt.state.in_([*UNDER_WAY]) & (Attempt.heard_at < now - SILENCE),
    )
    found = session.execute(
        select(Attempt.id, Attempt.machine_id).where(silent).order_by(Attempt.id).limit(_AT_ONCE)
    )
    count = 0
    for number, machine_id in found.all():
        # In the order in which reports lock them; meanwhile one may have come.
        machine = session.get(Machine, machine_id, with_for_update=True)
        query = select(Attempt).where(Attempt.id == number, silent).with_for_update()
        attempt = session.scalar(query)
        if machine is None or attempt is None:
            continue
        offered = attempt.state is State.OFFERED
        cancelled = attempt.cancel_asked_at is not None
        minutes = int((now - attempt.heard_at).total_seconds() // 60)
        attempt.state = State.CANCELLED if cancelled else State.ABANDONED
        attempt.ended_at = now
        attempt.message = (
            f"the machine got its script and was not heard of for {minutes} minutes"
            if offered
            else f"the machine was silent for {minutes} minutes"
        )
        attempt.hint = "look at its console; a report that comes late still counts"
        machines.touch(machine)
        # A wizard that nobody answers is no news: it happens at each boot of a machine on tui.
        if not (offered and attempt.mode is AttemptMode.INTERACTIVE):
            record(
                session,
                "attempt.abandoned",
                attempt.message,
                by=BTY,
                now=now,
                machine=machine,
                attempt=attempt,
            )
        count += 1
    return count


def ended(attempt: Attempt) -> AttemptEnded:
    """Return the failure to raise where an attempt that is over was to go on."""
    return AttemptEnded(
        f"attempt {attempt.id} has ended: it is {attempt.state}",
        hint="nothing was changed; the next network boot opens a new attempt",
    )
