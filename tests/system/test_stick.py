"""A stick flashes a machine that has no network: from power-on to the flashed system."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.system.lab.disks import blank, holds
from tests.system.lab.firmware import Firmware
from tests.system.lab.machine import Drive, Machine
from tests.system.lab.media import packed, put_images, small_system, stick_image
from tests.system.lab.pictures import keep_picture
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


def asked(box: Machine, command: str, seconds: float) -> None:
    """Run `command` in the shell on the serial console, which has to succeed."""
    began = len(box.said)
    box.type(f"{command}; echo ended=$?\r")
    box.wait(r"ended=\d", seconds, after=began)
    assert re.search(r"ended=0", box.said[began:]), box.said[began:]


def on_screen(box: Machine, text: str, seconds: float = 60) -> None:
    """Wait until `text` stands on the screen, which the shell on the serial console can see."""
    asked(box, f"until grep -q '{text}' /dev/vcs1; do sleep 1; done", seconds)


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
    with Machine("box", tmp_path, firmware, drives, screen=True) as box:
        timings.note("wizard", box.shows("one.img.zst", 400))
        if firmware is Firmware.BIOS:
            keep_picture(box, "wizard-bios")
        box.type("\r")
        box.shows("Onto which disk?", 60)
        box.type("\r")
        box.shows("Erase all of vda", 60)
        box.type("y\r")
        timings.note("first byte", box.writes(disk, 60))
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


def test_keys_and_screen_do_as_well_with_secure_boot_on(tmp_path: Path, timings: Timings) -> None:
    timings.about("stick, keys and screen", Firmware.SECURE)
    image = small_system("one")
    stick = grown(tmp_path)
    put_images(stick, packed(image))
    disk = blank(tmp_path / "disk.raw")
    drives = [Drive(stick, "STICK", usb=True), Drive(disk)]
    with Machine("box", tmp_path, Firmware.SECURE, drives) as box:
        box.shows("one.img.zst", 500)
        box.choose("Leave the wizard")
        box.shows("Leave the wizard?", 60)
        box.type("y\r")
        box.wait("bty-tui +the wizard again", 60)
        asked(box, "dmesg | grep -i 'secure boot enabled' && cijoe --version", 60)
        # A person at the screen sees a wizard of their own, whatever happens on the serial line.
        on_screen(box, "one.img.zst")
        keep_picture(box, "wizard-uefi")
        box.press("ret")
        on_screen(box, "Onto which disk?")
        box.press("ret")
        on_screen(box, "Erase all of vda")
        box.press("y", "ret")
        on_screen(box, "What now?", 300)
        assert holds(disk, image)


def test_a_stick_fresh_from_dd_makes_room_for_images_at_its_first_start_alone(
    tmp_path: Path,
) -> None:
    stick = grown(tmp_path)
    drive = Drive(stick, "STICK", usb=True)
    with Machine("box", tmp_path, Firmware.UEFI, [drive]) as box:
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
        # The second time to memory: the second entry of the menu.
        began = len(box.said)
        box.on()
        box.wait("copied to memory", 120, after=began)
        box.press("down", "ret")
        box.shows(" kept ", 400)
        box.choose("Shell")
        box.wait(r"# $", 60, after=began)
        asked(box, "journalctl -u bty-images-partition -o cat | grep 'holds images'", 60)
        box.unplug(drive)
        asked(box, "until ! ls /dev/disk/by-partlabel/bty-live; do sleep 1; done", 60)
        # Nothing may come from what was read before.
        asked(box, "echo 3 >/proc/sys/vm/drop_caches; bty --version && bty disks", 120)
