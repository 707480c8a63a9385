"""What a machine is told of provisioning: with its token, what is secret once, and nobody else ever."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from sqlalchemy import select

from bty_core.wire.plan import Plan
from bty_web.models import Attempt, Event, Group
from bty_web.services import clock, groups, machines, seeds
from bty_web.services.seeds import SeedTexts
from bty_web.services.vault import Vault
from tests.web.everywhere import everywhere
from tests.web.pxe.walk import Boot, add_live_environment
from tests.web.site import MAC, NOW, OPERATOR, Site

SECRET = "swordfish-7f3a"
TEXTS = SeedTexts(user_data="#cloud-config\nhostname: {{ hostname }}\npassword: " + SECRET + "\n")
FILLED = f"#cloud-config\nhostname: build-7\npassword: {SECRET}\n"


@pytest.fixture
def assigned(site: Site) -> Site:
    """A machine that is to be flashed and seeded."""
    add_live_environment(site)
    site.add_image()
    site.add_machine(
        name="build-7",
        image="debian.img",
        target="serial:S5Y1",
        boot_policy="flash",
        provisioning_mode="cloud-init",
    )
    return site


def keep(site: Site, texts: SeedTexts = TEXTS, *, secret: bool = True, group: str = "") -> None:
    """Keep a seed for the machine, or for a group that it joins."""
    with site.session() as session:
        owner: Any = machines.get(session, MAC, lock=True)
        if group:
            made = groups.create(session, group, "", by=OPERATOR, now=NOW)
            owner.group_id, owner = made.id, made
        vault = Vault(site.settings.state_dir)
        seeds.keep(session, owner, texts, secret=secret, vault=vault, by=OPERATOR, now=clock.now())


def told(boot: Boot) -> dict[str, Any]:
    """Return what a plan says of provisioning."""
    answer = boot.plan()
    assert answer.status_code == 200, answer.data
    found: dict[str, Any] = answer.get_json()["provisioning"]
    return found


def test_without_a_seed_it_gets_the_wizard_and_the_reason(assigned: Site) -> None:
    boot = Boot.of(assigned)
    assert boot.mode == "interactive"
    assert "no user-data is kept for this machine or its group" in boot.script


def test_a_secret_is_told_once_to_the_machine_that_booted(assigned: Site) -> None:
    keep(assigned)
    boot = Boot.of(assigned, address="192.0.2.7")
    assert boot.mode == "auto"
    first = told(boot)
    assert (first["mode"], first["user_data"], first["withheld"]) == ("cloud-init", FILLED, None)
    again = told(boot)
    assert again["user_data"] is None
    assert (
        f"the seed of attempt {boot.attempt} is secret, and was given out already"
        in (again["withheld"])
    )
    with assigned.session() as session:
        (event,) = session.scalars(select(Event).where(Event.kind == "attempt.seed")).all()
        assert (event.address, event.attempt_id) == ("192.0.2.7", boot.attempt)
        assert event.message == (
            f"the secret seed of its machine was given out to attempt {boot.attempt}, once"
        )
        attempt = session.get(Attempt, boot.attempt)
        assert attempt is not None
        assert attempt.secrets_released_at is not None


def test_the_next_attempt_is_told_again(assigned: Site) -> None:
    keep(assigned)
    first = Boot.of(assigned)
    assert told(first)["user_data"] == FILLED
    first.failed()
    second = Boot.of(assigned)
    assert second.attempt != first.attempt
    assert told(second)["user_data"] == FILLED


def test_another_address_a_forged_token_and_nobody_are_told_nothing(assigned: Site) -> None:
    keep(assigned)
    boot = Boot.of(assigned, address="192.0.2.7")
    open_plan = assigned.client.get(f"/pxe/{MAC}/plan")
    assert open_plan.get_json()["provisioning"] == {
        "mode": "cloud-init",
        "user_data": None,
        "meta_data": None,
        "network_config": None,
        "workflow": None,
        "withheld": None,
    }
    assert told(boot)["user_data"] == FILLED  # the first use binds the token to its address
    stranger = Boot(assigned, boot.script, MAC, "192.0.2.66")
    forged = boot.plan(token=f"{boot.attempt}-{'0' * 32}")
    for answer in (stranger.plan(), forged, open_plan):
        assert SECRET.encode() not in answer.data


def test_what_is_not_secret_is_told_as_often_as_the_machine_asks(assigned: Site) -> None:
    keep(assigned, secret=False)
    boot = Boot.of(assigned)
    assert told(boot)["user_data"] == told(boot)["user_data"] == FILLED


def test_the_group_has_one_for_all_its_machines(assigned: Site) -> None:
    keep(assigned, group="rack")
    boot = Boot.of(assigned)
    assert told(boot)["user_data"] == FILLED


def test_what_cannot_be_filled_in_any_more_says_why(assigned: Site) -> None:
    by_name = SeedTexts(user_data="#cloud-config\nhostname: {{ 1 // (name | length) }}\n")
    keep(assigned, by_name, secret=False)
    with assigned.session() as session:
        machines.get(session, MAC, lock=True).name = None
    withheld = told(Boot.of(assigned))["withheld"]
    assert "the template of user-data cannot be filled in" in withheld


def test_a_log_of_a_plan_has_none_of_it(assigned: Site) -> None:
    keep(assigned)
    plan = Plan.from_wire(Boot.of(assigned).plan().get_json())
    assert plan.provisioning.user_data == FILLED
    assert SECRET not in f"{plan} {plan.for_a_log()}"


def test_a_secret_is_nowhere_else(
    assigned: Site, caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    keep(assigned)
    boot = Boot.of(assigned)
    told(boot)
    boot.failed()
    assigned.log_in()
    vault_key = (assigned.settings.state_dir / "vault.key").read_bytes()
    found = [
        where
        for where, content in everywhere(assigned, tmp_path)
        if SECRET.encode() in content or vault_key in content
    ]
    assert found == []
    assert SECRET not in boot.script
    assert SECRET not in caplog.text


def test_a_group_that_goes_takes_its_seed_with_it(assigned: Site) -> None:
    keep(assigned, group="rack")
    with assigned.session() as session:
        group = session.scalars(select(Group)).one()
        groups.remove(session, group, by=OPERATOR, now=NOW)
    assert Boot.of(assigned).mode == "interactive"
