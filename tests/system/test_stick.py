"""A stick flashes a machine that has no network: from power-on to the flashed system."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.system.lab.disks import blank, holds
from tests.system.lab.firmware import Firmware
from tests.system.lab.machine import Drive, Machine
from tests.system.lab.media import packed, put_images, small_system, stick_image
from tests.system.lab.timings import Timings

pytestmark = [pytest.mark.vm, pytest.mark.loop, pytest.mark.timeout(1500)]

GIB = 1 << 30


def grown(folder: Path) -> Path:
    """Return a stick of 2 GiB as a plain `dd` leaves it."""
    stick = folder / "stick.raw"
    shutil.copyfile(stick_image(), stick)
    with stick.open("r+b") as file:
        file.truncate(2 * GIB)
    return stick


@pytest.mark.parametrize("firmware", [Firmware.BIOS, Firmware.UEFI])
def test_a_machine_without_network_is_flashed_from_the_stick(
    tmp_path: Path, firmware: Firmware, timings: Timings
) -> None:
    timings.about("stick", firmware)
    image = small_system("one")
    stick = grown(tmp_path)
    put_images(stick, packed(image))
    disk = blank(tmp_path / "disk.raw")
    drives = [Drive(stick, "STICK", usb=True), Drive(disk)]
    with Machine("box", tmp_path, firmware, drives) as box:
        timings.note("wizard", box.shows("one.img.zst", 400))
        box.type("\r")
        box.shows("Onto which disk?", 60)
        box.type("\r")
        box.shows("Erase all of vda", 60)
        box.type("y\r")
        box.shows("What now?", 300)
        timings.note("flashed", box.seconds)
        assert holds(disk, image)
        box.choose("Power off")
        box.goes_off(200)
        box.off()
        box.drives = [Drive(disk)]
        began = len(box.said)
        box.on()
        timings.note(
            "flashed system up",
            box.wait(f"BTY-SYSTEM-UP name=one firmware={firmware}", 300, after=began),
        )


def test_a_stick_fresh_from_dd_makes_room_for_images_at_its_first_start_alone(
    tmp_path: Path,
) -> None:
    stick = grown(tmp_path)
    with Machine("box", tmp_path, Firmware.UEFI, [Drive(stick, "STICK", usb=True)]) as box:
        box.shows("There are no images in /var/lib/bty/images", 400)
        box.choose("Shell")
        box.wait(r"# $", 60)
        began = len(box.said)
        box.type(
            "findmnt -no FSTYPE,SIZE /var/lib/bty/images; echo x >/var/lib/bty/images/kept; sync\r"
        )
        box.wait(r"exfat +1\.[67]G", 60, after=began)
        box.type("poweroff\r")
        box.goes_off(200)
        box.off()
        box.on()
        box.shows("There are no images in /var/lib/bty/images", 400)
        began = len(box.said)
        box.choose("Shell")
        box.wait(r"# $", 60, after=began)
        box.type("ls /var/lib/bty/images; journalctl -u bty-images-partition -o cat\r")
        box.wait("kept", 60, after=began)
        box.wait("holds images", 60, after=began)
