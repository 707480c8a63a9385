"""The decision table: what a contact gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from bty_web.models.words import AttemptMode, Policy, State, Trigger
from bty_web.services.boot import (
    AttemptFacts,
    Decision,
    Facts,
    Flash,
    OwnDisk,
    Wizard,
    again,
    decide,
    failures_in_a_row,
    loops,
)

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
GRACE = timedelta(seconds=180)
FLASHING = (Policy.FLASH, Policy.FLASH_ONCE, Policy.FLASH_CYCLE)
_numbers = count(1)


def seconds_ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def attempt(state: State, **values: Any) -> AttemptFacts:
    fields: dict[str, Any] = {
        "id": next(_numbers),
        "mode": AttemptMode.AUTO,
        "trigger": Trigger.POLICY,
        "revision": 1,
        "started_at": seconds_ago(60),
    }
    return AttemptFacts(state=state, **{**fields, **values})


def facts(policy: Policy, *attempts: AttemptFacts, **values: Any) -> Facts:
    return Facts(policy=policy, attempts=attempts, **values)


def kind(decision: Decision) -> str:
    match decision:
        case OwnDisk():
            return "disk"
        case Wizard():
            return "wizard"
        case Flash():
            return "flash"


DONE = attempt(State.DONE)
BOOTED = attempt(State.DONE, own_system=True)
OLD = attempt(State.DONE, revision=0)
FAILED = [attempt(State.FAILED) for _ in range(3)]
TABLE: list[tuple[str, Facts, str]] = [
    ("local", facts(Policy.LOCAL), "disk"),
    ("tui", facts(Policy.TUI), "wizard"),
    ("tui after a flash", facts(Policy.TUI, DONE), "wizard"),
    ("flash", facts(Policy.FLASH), "flash"),
    ("flash after a flash", facts(Policy.FLASH, DONE), "flash"),
    ("flash-once", facts(Policy.FLASH_ONCE), "flash"),
    ("flash-once when done", facts(Policy.FLASH_ONCE, DONE), "disk"),
    ("flash-once when done and booted", facts(Policy.FLASH_ONCE, BOOTED), "disk"),
    ("flash-once, done for an older assignment", facts(Policy.FLASH_ONCE, OLD), "flash"),
    (
        "flash-once, a stray contact after done",
        facts(Policy.FLASH_ONCE, attempt(State.OFFERED), DONE),
        "disk",
    ),
    (
        "flash-once, done before it was abandoned again",
        facts(Policy.FLASH_ONCE, attempt(State.ABANDONED), DONE),
        "disk",
    ),
    ("flash-cycle", facts(Policy.FLASH_CYCLE), "flash"),
    ("flash-cycle when done", facts(Policy.FLASH_CYCLE, DONE), "disk"),
    ("flash-cycle after one boot from disk", facts(Policy.FLASH_CYCLE, BOOTED), "flash"),
    ("flash-cycle, done for an older assignment", facts(Policy.FLASH_CYCLE, OLD), "flash"),
    (
        "flash-cycle, failed after a boot",
        facts(Policy.FLASH_CYCLE, attempt(State.FAILED), BOOTED),
        "flash",
    ),
    ("local within the grace", facts(Policy.LOCAL, local_served_at=seconds_ago(10)), "disk"),
    (
        "cycle within the grace",
        facts(Policy.FLASH_CYCLE, BOOTED, local_served_at=seconds_ago(179)),
        "disk",
    ),
    (
        "cycle after the grace",
        facts(Policy.FLASH_CYCLE, BOOTED, local_served_at=seconds_ago(180)),
        "flash",
    ),
    ("a clock that went back", facts(Policy.FLASH, local_served_at=seconds_ago(-10)), "flash"),
    ("armed on local", facts(Policy.LOCAL, reflash_armed_at=NOW), "flash"),
    ("armed on tui", facts(Policy.TUI, reflash_armed_at=NOW), "flash"),
    (
        "armed on flash-once when done",
        facts(Policy.FLASH_ONCE, DONE, reflash_armed_at=NOW),
        "flash",
    ),
    (
        "armed, but nothing to flash",
        facts(Policy.LOCAL, reflash_armed_at=NOW, obstacle="no image"),
        "wizard",
    ),
    ("workflow under way", facts(Policy.FLASH, attempt(State.DONE, online_under_way=True)), "disk"),
    (
        "workflow under way, but armed",
        facts(Policy.FLASH, attempt(State.DONE, online_under_way=True), reflash_armed_at=NOW),
        "flash",
    ),
    ("crash while writing", facts(Policy.FLASH_ONCE, attempt(State.RUNNING)), "flash"),
    ("two failures", facts(Policy.FLASH, *FAILED[:2]), "flash"),
    ("three failures", facts(Policy.FLASH, *FAILED), "wizard"),
    ("three failures of flash-once", facts(Policy.FLASH_ONCE, *FAILED), "wizard"),
    (
        "three failures, armed",
        facts(Policy.TUI, *FAILED, reflash_armed_at=seconds_ago(90)),
        "wizard",
    ),
    (
        "three failures, an operator acted",
        facts(Policy.FLASH, *FAILED, failures_forgiven_at=NOW),
        "flash",
    ),
    ("three failures of another assignment", facts(Policy.FLASH, *FAILED, revision=2), "flash"),
    (
        "three failures with a done between",
        facts(Policy.FLASH, *FAILED[:2], DONE, FAILED[2]),
        "flash",
    ),
    (
        "three failures with a crash between",
        facts(Policy.FLASH, *FAILED[:2], attempt(State.ABANDONED), FAILED[2]),
        "wizard",
    ),
    (
        "three failures at the wizard",
        facts(Policy.FLASH, *[attempt(State.FAILED, mode=AttemptMode.INTERACTIVE)] * 3),
        "flash",
    ),
]


@pytest.mark.parametrize(
    ("given", "gets"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_table(given: Facts, gets: str) -> None:
    assert kind(decide(given, NOW, GRACE)) == gets


@pytest.mark.parametrize("policy", FLASHING)
def test_an_obstacle_leads_to_the_wizard_with_its_reason(policy: Policy) -> None:
    given = facts(policy, obstacle="the image x is no longer in the catalog")
    assert decide(given, NOW, GRACE) == Wizard("the image x is no longer in the catalog")


@pytest.mark.parametrize("policy", [Policy.TUI, Policy.LOCAL])
def test_an_obstacle_says_nothing_to_other_policies(policy: Policy) -> None:
    assert decide(facts(policy, obstacle="no image"), NOW, GRACE) == decide(
        facts(policy), NOW, GRACE
    )


def test_every_policy_has_an_answer_and_a_reason() -> None:
    for policy in Policy:
        found = decide(facts(policy), NOW, GRACE)
        assert isinstance(found, Wizard) or found.reason


def test_the_latest_attempt_is_offered_again_while_nothing_was_heard() -> None:
    offered = attempt(State.OFFERED)
    given = facts(Policy.FLASH, offered)
    assert again(given, decide(given, NOW, GRACE)) is offered


@pytest.mark.parametrize(
    "latest",
    [
        attempt(State.RUNNING),
        attempt(State.OFFERED, revision=2),
        attempt(State.OFFERED, mode=AttemptMode.INTERACTIVE),
        attempt(State.OFFERED, trigger=Trigger.REFLASH),
        attempt(State.ABANDONED),
    ],
)
def test_an_attempt_that_is_another_thing_is_not_offered_again(latest: AttemptFacts) -> None:
    given = facts(Policy.FLASH, latest)
    assert again(given, decide(given, NOW, GRACE)) is None


def test_a_machine_that_flashes_itself_for_ever_is_noticed() -> None:
    assert loops(facts(Policy.FLASH, *[attempt(State.DONE)] * 3))
    assert not loops(facts(Policy.FLASH, *[attempt(State.DONE)] * 2))
    assert not loops(facts(Policy.FLASH_CYCLE, *[attempt(State.DONE)] * 3))
    assert not loops(facts(Policy.FLASH, BOOTED, attempt(State.DONE), attempt(State.DONE)))


def test_failures_are_counted_back_to_what_was_not_one() -> None:
    assert failures_in_a_row(facts(Policy.FLASH, *FAILED)) == 3
    assert failures_in_a_row(facts(Policy.FLASH, attempt(State.CANCELLED), *FAILED)) == 0
    assert failures_in_a_row(facts(Policy.FLASH, attempt(State.OFFERED), *FAILED)) == 3
