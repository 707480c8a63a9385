"""What a contact of a machine gets. Pure: the machine, its attempts and the time in, a decision out.

Every route asks `decide`: the script, the plan, the preview and the pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from bty_web.models.words import UNDER_WAY, AttemptMode, Policy, State, Trigger

FAILURES_IN_A_ROW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFacts:
    """What a decision needs to know of one attempt."""

    id: int
    state: State
    mode: AttemptMode
    trigger: Trigger
    revision: int
    started_at: datetime
    own_system: bool = False  # its own disk was served after this attempt was done
    online_under_way: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a decision needs to know of a machine."""

    policy: Policy
    revision: int = 1
    local_served_at: datetime | None = None
    reflash_armed_at: datetime | None = None
    failures_forgiven_at: datetime | None = None
    obstacle: str | None = None  # why what is assigned cannot be flashed
    attempts: Sequence[AttemptFacts] = ()  # the newest first


@dataclass(frozen=True, slots=True)
class OwnDisk:
    """The machine boots its own disk. `repeated`: only because it was sent there a moment ago."""

    reason: str
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Wizard:
    """The live environment with a person at it; `reason` is why, where it is not the policy."""

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Flash:
    """The live environment, unattended."""

    trigger: Trigger
    reason: str


Decision = OwnDisk | Wizard | Flash


def decide(facts: Facts, now: datetime, grace: timedelta) -> Decision:
    """Return what a contact gets now. `grace` is how long a machine that was sent to its disk is sent there again."""
    served = facts.local_served_at
    if served is not None and timedelta(0) <= now - served < grace:
        seconds = int(grace.total_seconds())
        return OwnDisk(f"it was sent to its own disk less than {seconds} s ago", repeated=True)
    if facts.reflash_armed_at is not None:
        return _flash(facts, Trigger.REFLASH, "an operator asked for a reflash")
    if any(attempt.online_under_way for attempt in facts.attempts[:1]):
        return OwnDisk("the workflow after its flash is under way")
    return _by_policy(facts)


def _by_policy(facts: Facts) -> Decision:
    match facts.policy:
        case Policy.LOCAL:
            return OwnDisk("its boot policy is local")
        case Policy.TUI:
            return Wizard()
        case Policy.FLASH:
            return _flash(facts, Trigger.POLICY, "its boot policy is flash")
        case Policy.FLASH_ONCE:
            if _done(facts):
                return OwnDisk("it was flashed, and its boot policy is flash-once")
            return _flash(facts, Trigger.POLICY, "its boot policy is flash-once")
        case Policy.FLASH_CYCLE:
            done = _done(facts)
            if done is not None and not done.own_system:
                return OwnDisk("it was flashed, and boots once from its disk (flash-cycle)")
            return _flash(facts, Trigger.POLICY, "its boot policy is flash-cycle")
        case _:
            assert_never(facts.policy)


def again(facts: Facts, decision: Decision) -> AttemptFacts | None:
    """Return the latest attempt if it is still only offered and is what `decision` would open, else None."""
    latest = facts.attempts[0] if facts.attempts else None
    if latest is None or latest.state is not State.OFFERED or latest.revision != facts.revision:
        return None
    match decision:
        case Flash(trigger=trigger):
            fits = latest.mode is AttemptMode.AUTO and latest.trigger is trigger
        case Wizard():
            fits = latest.mode is AttemptMode.INTERACTIVE
        case OwnDisk():
            fits = False
        case _:
            assert_never(decision)
    return latest if fits else None


def failures_in_a_row(facts: Facts) -> int:
    """Return how many automatic attempts of this assignment have failed since one did not."""
    failed = 0
    for attempt in facts.attempts:
        if attempt.mode is not AttemptMode.AUTO or attempt.revision != facts.revision:
            continue
        if facts.failures_forgiven_at and attempt.started_at <= facts.failures_forgiven_at:
            break
        if attempt.state is State.FAILED:
            failed += 1
        elif attempt.state in (State.DONE, State.CANCELLED) or attempt.state in UNDER_WAY:
            break
    return failed


def loops(facts: Facts) -> bool:
    """Whether the machine flashes itself again and again without its own system ever starting."""
    done = [one for one in facts.attempts if one.state is State.DONE][:FAILURES_IN_A_ROW]
    return (
        facts.policy is Policy.FLASH
        and len(done) == FAILURES_IN_A_ROW
        and all(one.revision == facts.revision and not one.own_system for one in done)
    )


def _flash(facts: Facts, trigger: Trigger, reason: str) -> Decision:
    if facts.obstacle is not None:
        return Wizard(facts.obstacle)
    failed = failures_in_a_row(facts)
    if failed >= FAILURES_IN_A_ROW:
        return Wizard(f"{failed} automatic attempts in a row have failed")
    return Flash(trigger, reason)


def _done(facts: Facts) -> AttemptFacts | None:
    """Return the newest attempt of this assignment that is done."""
    return next(
        (
            attempt
            for attempt in facts.attempts
            if attempt.state is State.DONE and attempt.revision == facts.revision
        ),
        None,
    )
