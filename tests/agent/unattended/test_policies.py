"""A machine flashes itself, for each boot policy: program, console, disk and server agree."""

from __future__ import annotations

import pytest

from bty_agent.exits import Exit
from bty_core.values import MacAddress
from bty_web.models.words import Policy, State
from bty_web.services import machines
from bty_web.services.assignments import Change, change
from bty_web.services.clock import now
from tests.agent.server.fleet import Fleet
from tests.agent.unattended.conftest import Box
from tests.web.site import OPERATOR

pytestmark = [pytest.mark.root, pytest.mark.loop]


def written(box: Box) -> bool:
    """Whether the image is on the disk."""
    image = (box.fleet.site.settings.image_root / "small.img").read_bytes()
    return box.disk.read_bytes()[: len(image)] == image


def blank(box: Box) -> None:
    """Let the disk be as it was, and the server not know that it is no disk that an inventory names."""
    box.disk.write_bytes(b"\xff" * (16 << 20))
    forget_inventory(box.fleet, box.mac)


def forget_inventory(fleet: Fleet, mac: MacAddress) -> None:
    """Loop devices are no part of an inventory: what the machine says it has would speak against its target."""
    with fleet.site.session() as session:
        machines.get(session, mac).inventory = None


def untouched(box: Box) -> bool:
    """Whether nothing was written."""
    return box.disk.read_bytes() == b"\xff" * (16 << 20)


@pytest.mark.parametrize("policy", ["flash", "flash-once", "flash-cycle"])
def test_a_machine_flashes_itself_and_says_so(box: Box, policy: str) -> None:
    box.assign(policy=policy)
    ended = box.run()
    name = f"bty: attempt {box.attempt().id}"
    assert (ended.code, ended.failure) == (Exit.DONE, None), ended.console
    assert written(box)
    assert ended.lines[0] == f"{name} writes small.img onto {box.disk}"
    assert any(line.startswith(f"{name} writing ") for line in ended.lines)
    assert any(line.startswith(f"{name} verifying ") for line in ended.lines)
    assert ended.lines[-2:] == [
        f"{name} the server knows that it is done",
        f"{name} would reboot now",
    ]
    found = box.attempt()
    assert (found.state, found.image, found.disk) == (State.DONE, "small.img", str(box.disk))
    assert box.fleet.site.machine(box.mac).last_flashed_at is not None
    assert box.fleet.site.machine(box.mac).boot_policy == policy


def test_the_next_boot_is_what_the_policy_says(box: Box) -> None:
    nexts: dict[str, bool] = {}
    for policy in ("flash", "flash-once", "flash-cycle"):
        box.mac = MacAddress.parse(f"52:54:01:00:00:{len(nexts):02x}")
        box.folder = box.folder / policy
        box.folder.mkdir()
        box.assign(policy=policy)
        assert box.run().code is Exit.DONE
        forget_inventory(box.fleet, box.mac)
        nexts[policy] = "bty.mode=auto" in box.boot()
    assert nexts == {"flash": True, "flash-once": False, "flash-cycle": False}


def test_a_machine_on_flash_is_flashed_at_each_boot(box: Box) -> None:
    box.assign()
    assert box.run().code is Exit.DONE
    first = box.attempt().id
    blank(box)
    assert box.run().code is Exit.DONE
    assert box.attempt().id > first
    assert written(box)


def test_a_boot_for_the_wizard_is_left_to_it(box: Box) -> None:
    box.assign(policy="tui")
    ended = box.run()
    assert (ended.code, ended.lines) == (
        Exit.DONE,
        ["bty: this boot is for the wizard: nothing is flashed unattended"],
    )
    assert box.attempt().state is State.OFFERED
    assert untouched(box)


def test_a_line_that_says_nothing_of_bty_is_none_of_its_business(box: Box) -> None:
    ended = box.run("quiet splash")
    assert ended.code is Exit.DONE
    assert ended.lines == ["bty: the kernel command line asks for no unattended flash"]


def test_a_policy_that_became_tui_meanwhile_leads_to_the_wizard_with_the_reason(box: Box) -> None:
    box.assign()
    line = box.boot()
    assign(box, Policy.TUI)
    ended = box.run(line)
    assert ended.code is Exit.DONE
    assert ended.failure is not None
    assert ended.failure.code == "wizard-wanted"
    assert untouched(box)


def test_a_policy_that_became_local_meanwhile_leads_to_the_own_disk(box: Box) -> None:
    box.assign()
    line = box.boot()
    assign(box, Policy.LOCAL)
    ended = box.run(line)
    assert (ended.code, ended.failure) == (Exit.DONE, None), ended.console
    assert "nothing to flash: its boot policy is local" in ended.console
    assert ended.lines[-1].endswith("would reboot now")
    assert box.attempt().state is State.CANCELLED
    assert untouched(box)


def assign(box: Box, policy: Policy) -> None:
    with box.fleet.site.session() as session:
        machine = machines.get(session, box.mac)
        change(session, machine, Change.of(boot_policy=policy.value), by=OPERATOR, now=now())


def test_the_inventory_is_told_and_the_log_kept_without_the_token(box: Box) -> None:
    box.assign()
    line = box.boot()
    ended = box.run(line)
    assert ended.code is Exit.DONE
    machine = box.fleet.site.machine(box.mac)
    assert machine.inventory is not None
    token = line.partition("bty.token=")[2].split()[0]
    assert "the plan: {" in ended.log
    assert token not in ended.log + ended.console
