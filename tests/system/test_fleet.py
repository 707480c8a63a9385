"""A machine of a fleet, with the live environment as it is released: a cycle of each boot policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.lab.disks import blank, holds
from tests.system.lab.firmware import Firmware
from tests.system.lab.machine import Drive, Machine
from tests.system.lab.media import medium, packed, small_system
from tests.system.lab.network import Lan
from tests.system.lab.server import LabServer
from tests.system.lab.timings import Timings

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

FLASHED = 500.0  # seconds in which a machine has started from the network and written its disk
BOOTED = 240.0


@pytest.mark.parametrize("firmware", [Firmware.BIOS, Firmware.UEFI])
def test_a_machine_lives_through_each_policy(
    lan: Lan, server: LabServer, tmp_path: Path, firmware: Firmware, timings: Timings
) -> None:
    timings.about("unattended, built media", firmware, "each")
    server.install_live(medium("pxe"))
    for name in ("one", "two"):
        server.add_image(packed(small_system(name)), f"{name}.img.zst")
    disk = blank(tmp_path / "disk.raw")
    box = Machine("box", tmp_path, firmware, [Drive(disk)], lan=lan)
    server.assign(box.mac, image="one.img.zst", target="only", boot_policy="flash-once")
    with box:
        timings.note("first byte", box.writes(disk, FLASHED))
        timings.note("flashed", box.wait("attempt 1 reboots now", FLASHED))
        assert holds(disk, small_system("one"))
        up = box.wait(f"BTY-SYSTEM-UP name=one firmware={firmware}", BOOTED)
        timings.note("system up", up)
        # Once is once: the next start is the disk's.
        restarted = len(box.said)
        box.reset()
        box.wait("BTY-SYSTEM-UP name=one", BOOTED, after=restarted)

        server.assign(box.mac, image="two.img.zst", boot_policy="flash-cycle")
        box.reset()
        timings.note("flashed by flash-cycle", box.wait("attempt 2 reboots now", FLASHED))
        assert holds(disk, small_system("two"))
        timings.note("up after flash-cycle", box.wait("BTY-SYSTEM-UP name=two", BOOTED))

        server.assign(box.mac, image="one.img.zst", boot_policy="flash")
        box.reset()
        timings.note("flashed by flash", box.wait("attempt 3 reboots now", FLASHED))
        # On its way down and through the firmware: what counts is what the operator wants at the contact.
        # The emulator's UEFI may not come back where a machine stands still while it restarts.
        server.assign(box.mac, boot_policy="local")
        flashed = len(box.said)
        timings.note("up by local", box.wait("BTY-SYSTEM-UP name=one", BOOTED, after=flashed))
    states = [(one["state"], one["image"]) for one in reversed(server.attempts(box.mac))]
    assert states == [("done", f"{name}.img.zst") for name in ("one", "two", "one")]
    assert server.machine(box.mac)["boot_policy"] == "local"
