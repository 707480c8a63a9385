"""Each boot policy, as a real machine lives through it: power-on, firmware, network, flash, reboot, its own system.

In the small live environment, with the real agent: many boots, each as fast as can be.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.lab.disks import blank, holds
from tests.system.lab.firmware import Firmware
from tests.system.lab.machine import Drive, Machine
from tests.system.lab.media import packed, small_system
from tests.system.lab.network import Lan
from tests.system.lab.server import LabServer
from tests.system.lab.small_live import small_live
from tests.system.lab.story import story
from tests.system.lab.timings import Timings

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]

FLASHED = 150.0  # seconds in which a machine is flashed and boots again, on a busy computer
BOOTED = 90.0


@pytest.fixture
def stocked(server: LabServer, firmware: Firmware) -> LabServer:
    """A server with a live environment and two images, which decides anew at each contact."""
    server.install_live(small_live())
    for name in ("one", "two"):
        server.add_image(packed(small_system(name)), f"{name}.img.zst")
    # A person would wait for minutes.
    server.api("PUT", "/settings", local_boot_grace=firmware.asks_again)
    return server


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """An empty disk."""
    return blank(tmp_path / "disk.raw")


@pytest.fixture
def box(lan: Lan, disk: Path, tmp_path: Path, firmware: Firmware) -> Machine:
    """A machine that is switched off."""
    return Machine("box", tmp_path, firmware, drives=[Drive(disk)], lan=lan)


def finished(server: LabServer, box: Machine) -> list[tuple[str, str, str]]:
    """Return state, mode and image of each attempt, the oldest first."""
    return [(one["state"], one["mode"], one["image"]) for one in reversed(server.attempts(box.mac))]


def test_flash_flashes_at_each_boot_until_an_operator_says_local(
    stocked: LabServer, box: Machine, disk: Path, timings: Timings
) -> None:
    stocked.assign(box.mac, image="one.img.zst", target="only", boot_policy="flash")
    timings.about("unattended", box.firmware, "flash")
    with box:
        timings.note("flashed", box.wait("attempt 1 reboots now", FLASHED))
        assert holds(disk, small_system("one"))
        box.wait("attempt 2 reboots now", FLASHED)
        # On its way through the firmware: what counts is what the operator wants at the contact.
        with box.stopped():
            stocked.assign(box.mac, boot_policy="local")
        timings.note(
            "system up", box.wait(f"BTY-SYSTEM-UP name=one firmware={box.firmware}", BOOTED)
        )
    once = ["flash one.img.zst", "live", "reboots"]
    assert story(box.said) == [*once, *once, "own disk", "system one"]
    assert finished(stocked, box) == [("done", "auto", "one.img.zst")] * 2
    assert stocked.machine(box.mac)["boot_policy"] == "local"


def test_flash_once_flashes_once_for_each_assignment(
    stocked: LabServer, box: Machine, disk: Path, timings: Timings
) -> None:
    stocked.assign(box.mac, image="one.img.zst", target="only", boot_policy="flash-once")
    timings.about("unattended", box.firmware, "flash-once")
    with box:
        timings.note("flashed", box.wait("attempt 1 reboots now", FLASHED))
        timings.note(
            "system up", box.wait(f"BTY-SYSTEM-UP name=one firmware={box.firmware}", BOOTED)
        )
        assert holds(disk, small_system("one"))
        began = len(box.said)
        box.reset()
        box.wait("BTY-SYSTEM-UP name=one", BOOTED, after=began)
        stocked.assign(box.mac, image="two.img.zst")
        box.reset()
        box.wait("BTY-SYSTEM-UP name=two", FLASHED)
        assert holds(disk, small_system("two"))
    assert story(box.said) == [
        *("flash one.img.zst", "live", "reboots", "own disk", "system one"),
        *("own disk", "system one"),
        *("flash two.img.zst", "live", "reboots", "own disk", "system two"),
    ]
    assert finished(stocked, box) == [
        ("done", "auto", "one.img.zst"),
        ("done", "auto", "two.img.zst"),
    ]
    assert stocked.machine(box.mac)["boot_policy"] == "flash-once"


def test_flash_cycle_boots_once_from_the_disk_after_each_flash(
    stocked: LabServer, box: Machine, disk: Path, timings: Timings
) -> None:
    stocked.assign(box.mac, image="one.img.zst", target="only", boot_policy="flash-cycle")
    timings.about("unattended", box.firmware, "flash-cycle")
    with box:
        timings.note("flashed", box.wait("attempt 1 reboots now", FLASHED))
        timings.note(
            "system up", box.wait(f"BTY-SYSTEM-UP name=one firmware={box.firmware}", BOOTED)
        )
        # What the job of this cycle did to the disk is gone after the next one.
        with disk.open("r+b") as file:
            file.seek(30 << 20)
            file.write(b"a job was here")
        began = len(box.said)
        box.reset()
        box.wait("attempt 2 reboots now", FLASHED, after=began)
        assert holds(disk, small_system("one"))
        box.wait("BTY-SYSTEM-UP name=one", BOOTED, after=began)
    cycle = ["flash one.img.zst", "live", "reboots", "own disk", "system one"]
    assert story(box.said) == [*cycle, *cycle]
    assert finished(stocked, box) == [("done", "auto", "one.img.zst")] * 2


def test_local_leaves_a_machine_to_its_own_disk(
    stocked: LabServer, box: Machine, disk: Path, timings: Timings
) -> None:
    disk.write_bytes(small_system("two").read_bytes())
    stocked.assign(box.mac, image="one.img.zst", target="only", boot_policy="local")
    timings.about("unattended", box.firmware, "local")
    with box:
        timings.note(
            "system up", box.wait(f"BTY-SYSTEM-UP name=two firmware={box.firmware}", BOOTED)
        )
    assert story(box.said) == ["own disk", "system two"]
    assert stocked.attempts(box.mac) == []
    assert holds(disk, small_system("two"))


def test_a_reflash_that_an_operator_asks_for_happens_once(
    stocked: LabServer, box: Machine, disk: Path, timings: Timings
) -> None:
    disk.write_bytes(small_system("two").read_bytes())
    stocked.assign(box.mac, image="one.img.zst", target="only", boot_policy="local")
    stocked.api("POST", f"/machines/{box.mac}/reflash")
    timings.about("unattended", box.firmware, "local, armed")
    with box:
        timings.note("flashed", box.wait("attempt 1 reboots now", FLASHED))
        timings.note(
            "system up", box.wait(f"BTY-SYSTEM-UP name=one firmware={box.firmware}", BOOTED)
        )
    assert holds(disk, small_system("one"))
    assert story(box.said) == ["flash one.img.zst", "live", "reboots", "own disk", "system one"]
    assert finished(stocked, box) == [("done", "auto", "one.img.zst")]
