"""An unknown machine boots from the network, and a person flashes it with the wizard: firmware to flashed system."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.lab.disks import blank, holds
from tests.system.lab.firmware import Firmware
from tests.system.lab.machine import Drive, Machine
from tests.system.lab.media import medium, packed, small_system
from tests.system.lab.network import Lan
from tests.system.lab.pictures import keep_picture
from tests.system.lab.server import LabServer
from tests.system.lab.timings import Timings

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1500)]


@pytest.mark.parametrize("firmware", [Firmware.BIOS, Firmware.UEFI])
def test_an_unknown_machine_gets_the_wizard_and_boots_what_was_flashed(
    lan: Lan, server: LabServer, tmp_path: Path, firmware: Firmware, timings: Timings
) -> None:
    timings.about("wizard over the network", firmware, "tui")
    image = small_system("one")
    server.install_live(medium("pxe"))
    server.add_image(packed(image), "one.img.zst")
    disk = blank(tmp_path / "disk.raw")
    with Machine("box", tmp_path, firmware, [Drive(disk)], lan=lan) as box:
        box.wait("asking http://10.77.0.2:8080 what", 90)
        timings.note("wizard", box.shows("one.img.zst", 400))
        if firmware is Firmware.UEFI:
            keep_picture(box, "wizard-network")
        assert server.machine(box.mac)["boot_policy"] == "tui"
        box.type("\r")
        box.shows("Onto which disk?", 60)
        box.type("\r")
        box.shows("Erase all of vda", 60)
        box.type("y\r")
        timings.note("first byte", box.writes(disk, 60))
        box.shows("should this machine start from its own disk?", 300)
        assert holds(disk, image)
        assert server.attempts(box.mac)[0]["state"] == "done"
        assert server.machine(box.mac)["last_flashed_at"]
        box.type("\r")
        box.shows("What now?", 60)
        assert server.machine(box.mac)["boot_policy"] == "local"
        flashed = len(box.said)
        box.type("\r")
        box.wait("boots its own disk", 300, after=flashed)
        timings.note(
            "flashed system up",
            box.wait(f"BTY-SYSTEM-UP name=one firmware={firmware}", 300, after=flashed),
        )
