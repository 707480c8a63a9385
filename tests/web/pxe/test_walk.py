"""discover -> inventory -> assign -> plan -> progress -> done, for each policy, through the routes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bty_core.values import MacAddress
from bty_core.wire.plan import Plan
from bty_web.models.words import Policy, State
from bty_web.services import assignments, attempts, clock, machines
from bty_web.services.assignments import Change
from tests.web.pxe.walk import Boot, add_live_environment
from tests.web.site import MAC, OPERATOR, Site


@pytest.fixture(autouse=True)
def _live(site: Site) -> None:
    add_live_environment(site)
    site.add_image()


def assign(site: Site, **values: str | None) -> None:
    """Do what an operator does on the machine's page."""
    with site.session() as session:
        machine = machines.get(session, MAC, lock=True)
        assignments.change(session, machine, Change.of(**values), by=OPERATOR, now=clock.now())


def arm(site: Site) -> None:
    """Press *Reflash now*."""
    with site.session() as session:
        machine = machines.get(session, MAC, lock=True)
        assignments.arm(session, machine, by=OPERATOR, now=clock.now())


def discovered(site: Site) -> Boot:
    """Boot an unknown machine, and let its wizard report what it has."""
    boot = Boot.of(site)
    assert boot.mode == "interactive"
    assert boot.inventory().status_code == 200
    return boot


def flashed(site: Site) -> Boot:
    """Boot and flash, unattended, to the end."""
    boot = Boot.of(site)
    assert boot.mode == "auto", boot.script
    plan = Plan.from_wire(boot.plan().get_json())
    assert (plan.mode, plan.attempt, plan.target) == ("auto", boot.attempt, "serial:S5Y1")
    assert plan.image is not None
    assert plan.image.url == "http://localhost/images/debian.img"
    for phase in ("writing", "verifying", "finishing"):
        answer = boot.progress(phase, disk_bytes=5, source_bytes=5, total_bytes=10)
        assert answer.get_json() == {
            "cancel": False,
            "queue_position": None,
            "ask_again_seconds": None,
        }
    assert boot.done().status_code == 200
    return boot


def test_the_plan_has_the_options_that_are_assigned(site: Site) -> None:
    discovered(site)
    assign(
        site,
        image="debian.img",
        target="serial:S5Y1",
        boot_policy="flash",
        verify="no",
        fix_gpt="yes",
        uefi_entry="yes",
    )
    wanted = {"verify": False, "fix_gpt": True, "uefi_entry": True}
    assert site.client.get(f"/pxe/{MAC}/plan").get_json()["options"] == wanted
    boot = Boot.of(site)
    assert boot.plan().get_json()["options"] == wanted
    boot.progress("writing")
    assert boot.plan().get_json()["options"] == wanted


def grace_is_over(site: Site) -> None:
    """Let the time pass in which a machine is sent to its disk again."""
    with site.session() as session:
        machine = machines.get(session, MAC, lock=True)
        if machine.local_served_at is not None:
            machine.local_served_at -= timedelta(hours=1)


def modes(site: Site, boots: int) -> list[str]:
    """Boot several times, flashing where that is asked for."""
    found = []
    for _ in range(boots):
        boot = Boot.of(site)
        found.append(boot.mode)
        if boot.mode == "auto":
            assert boot.done().status_code == 200
        grace_is_over(site)
    return found


@pytest.mark.parametrize(
    ("policy", "gets"),
    [
        ("local", ["disk", "disk", "disk"]),
        ("tui", ["interactive", "interactive", "interactive"]),
        ("flash", ["auto", "auto", "auto"]),
        ("flash-once", ["auto", "disk", "disk"]),
        ("flash-cycle", ["auto", "disk", "auto", "disk", "auto"]),
    ],
)
def test_each_policy(site: Site, policy: str, gets: list[str]) -> None:
    discovered(site)
    assign(site, image="debian.img", target="serial:S5Y1", boot_policy=policy)
    before = site.machine().last_flashed_at
    assert modes(site, len(gets)) == gets
    after = site.machine()
    assert after.boot_policy == Policy(policy)
    assert (after.last_flashed_at != before) is ("auto" in gets)


def test_the_whole_way_of_one_machine(site: Site) -> None:
    wizard = discovered(site)
    machine = site.machine()
    assert machine.boot_policy == Policy.TUI
    assert machine.last_seen_ip == "127.0.0.1"
    assert machine.inventory is not None
    wizard.progress("waiting")
    assign(site, image="debian.img", target="serial:S5Y1", boot_policy="flash-once")
    boot = flashed(site)
    assert boot.attempt > wizard.attempt
    assert site.machine().last_flashed_at is not None
    assert Boot.of(site).mode == "disk"
    # The firmware tries its other network interface on the way to the disk.
    assert Boot.of(site).mode == "disk"


@pytest.mark.parametrize("policy", ["local", "tui", "flash-once"])
def test_reflash_now(site: Site, policy: str) -> None:
    discovered(site)
    assign(site, image="debian.img", target="serial:S5Y1", boot_policy=policy)
    if policy == "flash-once":
        flashed(site)
    usual = Boot.of(site).mode
    arm(site)
    boot = flashed(site)
    assert "trigger" not in boot.script
    assert site.machine().reflash_armed_at is None
    assert site.machine().boot_policy == Policy(policy)
    grace_is_over(site)
    assert Boot.of(site).mode == usual


def test_reflash_is_armed_until_it_is_done(site: Site) -> None:
    discovered(site)
    assign(site, image="debian.img", target="serial:S5Y1", boot_policy="local")
    arm(site)
    assert Boot.of(site).failed().status_code == 200
    assert site.machine().reflash_armed_at is not None
    flashed(site)
    assert site.machine().reflash_armed_at is None


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"image": None}, "no image is assigned"),
        ({"target": None}, "no target disk is chosen"),
        ({"target": "serial:OTHER"}, "no disk matches _serial:OTHER_"),
    ],
)
def test_what_cannot_be_flashed_gets_the_wizard_with_the_reason(
    site: Site, values: dict[str, str | None], reason: str
) -> None:
    discovered(site)
    assigned = {"image": "debian.img", "target": "serial:S5Y1", "boot_policy": "flash", **values}
    assign(site, **assigned)
    boot = Boot.of(site)
    assert boot.mode == "interactive"
    assert f"echo bty: {reason}" in boot.script


def test_an_image_that_was_deleted_gets_the_wizard(site: Site) -> None:
    discovered(site)
    assign(site, image="debian.img", target="serial:S5Y1", boot_policy="flash")
    with site.session() as session:
        session.connection().exec_driver_sql("DELETE FROM images")
    boot = Boot.of(site)
    assert boot.mode == "interactive"
    assert "echo bty: the image debian.img is no longer in the catalog\n" in boot.script
    assert boot.plan().get_json()["reason"] == "the image debian.img is no longer in the catalog"


def test_without_an_inventory_the_machine_decides(site: Site) -> None:
    site.add_machine(image="debian.img", target="serial:ANY", boot_policy="flash")
    assert Boot.of(site).mode == "auto"


def test_three_failures_lead_to_the_wizard_until_an_operator_acts(site: Site) -> None:
    discovered(site)
    assign(site, image="debian.img", target="serial:S5Y1", boot_policy="flash")
    for _ in range(3):
        boot = Boot.of(site)
        assert boot.mode == "auto"
        boot.failed()
    boot = Boot.of(site)
    assert boot.mode == "interactive"
    assert "3 automatic attempts in a row have failed" in boot.script
    arm(site)
    assert Boot.of(site).mode == "auto"


def test_a_crash_between_flasher_and_done_flashes_again(site: Site) -> None:
    discovered(site)
    assign(site, image="debian.img", target="serial:S5Y1", boot_policy="flash-once")
    boot = Boot.of(site)
    boot.progress("writing", disk_bytes=3)
    again = Boot.of(site)
    assert again.mode == "auto"
    assert again.attempt != boot.attempt


def test_an_assignment_that_changes_while_the_machine_boots_is_heard(site: Site) -> None:
    discovered(site)
    site.add_image("other.img")
    assign(site, image="debian.img", target="serial:S5Y1", boot_policy="flash")
    boot = Boot.of(site)
    assign(site, image="other.img")
    plan = Plan.from_wire(boot.plan().get_json())
    assert plan.image is not None
    assert plan.image.name == "other.img"
    assign(site, boot_policy="local")
    assert boot.plan().get_json()["mode"] == "local"
    assign(site, boot_policy="tui")
    assert boot.plan().get_json()["mode"] == "interactive"


def test_an_assignment_that_changes_in_the_middle_does_not_touch_what_runs(site: Site) -> None:
    discovered(site)
    site.add_image("other.img")
    assign(site, image="debian.img", target="serial:S5Y1", boot_policy="flash-once")
    boot = Boot.of(site)
    boot.progress("writing", disk_bytes=3)
    assign(site, image="other.img")
    plan = Plan.from_wire(boot.plan().get_json())
    assert plan.image is not None
    assert plan.image.name == "debian.img"
    assert boot.done().status_code == 200
    # Done, but for what was assigned before: this assignment has not been flashed yet.
    assert Boot.of(site).mode == "auto"


def test_renaming_changes_nothing(site: Site) -> None:
    discovered(site)
    assign(site, image="debian.img", target="serial:S5Y1", boot_policy="flash-once")
    flashed(site)
    assign(site, name="rack-7", notes="the third from the left")
    assert Boot.of(site).mode == "disk"


def test_the_plan_without_a_token_opens_nothing(site: Site) -> None:
    discovered(site)
    assign(site, image="debian.img", target="serial:S5Y1", boot_policy="flash")
    plan = site.client.get(f"/pxe/{MAC}/plan").get_json()
    assert (plan["mode"], plan["attempt"]) == ("auto", None)
    with site.session() as session:
        machine = machines.get(session, MAC)
        latest = attempts.latest(session, machine)
        assert latest is not None
        assert latest.mode == "interactive"


def test_the_plan_of_an_unknown_machine(site: Site) -> None:
    other = MacAddress.parse("52:54:00:00:00:99")
    answer = site.client.get(f"/pxe/{other}/plan")
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_a_wizard_sets_the_policy_to_local_after_its_flash(site: Site) -> None:
    boot = discovered(site)
    assert boot.post("policy", {"boot_policy": "local"}).status_code == 409
    boot.done()
    assert boot.post("policy", {"boot_policy": "flash"}).status_code == 422
    assert boot.post("policy", {"boot_policy": "local"}).get_json()["boot_policy"] == "local"
    assert site.machine().boot_policy == Policy.LOCAL
    assert Boot.of(site).mode == "disk"


def test_a_token_of_an_earlier_flash_sets_no_policy(site: Site) -> None:
    boot = discovered(site)
    boot.done()
    again = Boot.of(site)  # a stray contact takes nothing away
    assert boot.post("policy", {"boot_policy": "local"}).status_code == 200
    assign(site, boot_policy="tui")
    assert again.progress("waiting").status_code == 200
    assert boot.post("policy", {"boot_policy": "local"}).status_code == 409
    assert site.machine().boot_policy == Policy.TUI


def test_an_unattended_flash_may_not_set_the_policy(site: Site) -> None:
    discovered(site)
    assign(site, image="debian.img", target="serial:S5Y1", boot_policy="flash")
    boot = flashed(site)
    assert boot.post("policy", {"boot_policy": "local"}).status_code == 409
    assert site.machine().boot_policy == Policy.FLASH


def test_a_machine_on_a_shared_network_is_left_alone(site: Site) -> None:
    from bty_web.services import preferences

    with site.session() as session:
        wanted = {"default_policy": "local"}
        preferences.change(session, site.settings, wanted, by=OPERATOR, now=clock.now())
    assert Boot.of(site).mode == "disk"
    assert site.machine().boot_policy == Policy.LOCAL


def test_states_follow_the_reports(site: Site) -> None:
    boot = discovered(site)
    seen = []
    for phase in ("waiting", "writing", "retrying", "verifying", "finishing", "provisioning"):
        boot.progress(phase)
        with site.session() as session:
            seen.append(attempts.get(session, boot.attempt).state)
    assert seen == [
        State.QUEUED,
        State.RUNNING,
        State.RUNNING,
        State.VERIFYING,
        State.VERIFYING,
        State.PROVISIONING,
    ]
