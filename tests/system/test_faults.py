"""What goes wrong with real machines while they flash themselves, and where they end up.

In the small live environment, with the real agent.
"""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.system.lab.disks import MIB, blank, boots, holds
from tests.system.lab.firmware import Firmware
from tests.system.lab.machine import Drive, Machine
from tests.system.lab.media import packed, small_system
from tests.system.lab.network import Lan
from tests.system.lab.server import LabServer
from tests.system.lab.small_live import small_live
from tests.system.lab.small_system import SIZE
from tests.system.lab.story import reaches, story
from tests.system.lab.timings import Timings

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]

STARTED = (
    120.0  # seconds in which a machine is in its live environment and asks, on a busy computer
)
FLASHED = 180.0
BOOTED = 90.0

BALLAST = 40 * MIB
RATE = (
    3 * MIB
)  # bytes a second that the disk takes: a flash of the ballast lasts long enough for a fault
EARLY = 12 * MIB  # bytes on the disk; far more are still to come than any buffer on the way holds


@pytest.fixture
def live(server: LabServer, firmware: Firmware) -> LabServer:
    """A server with a live environment, which decides anew at each contact."""
    server.install_live(small_live())
    server.api("PUT", "/settings", local_boot_grace=firmware.asks_again)
    return server


@pytest.fixture
def heavy(live: LabServer) -> Path:
    """An image that takes its time, in the server's catalog as ``heavy.img``."""
    image = small_system("heavy", BALLAST)
    live.add_image(image, "heavy.img")
    return image


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """An empty disk."""
    return blank(tmp_path / "disk.raw")


@pytest.fixture
def box(lan: Lan, disk: Path, tmp_path: Path, firmware: Firmware) -> Machine:
    """A machine with a slow disk, switched off."""
    return Machine("box", tmp_path, firmware, drives=[Drive(disk, write_rate=RATE)], lan=lan)


def under_way(attempt: dict[str, Any]) -> bool:
    """Whether some of the image is on the disk, and most of it is not."""
    assert attempt["state"] in ("offered", "queued", "running"), attempt
    return (attempt["disk_bytes"] or 0) > EARLY


def went_on(said: str) -> list[int]:
    """Return the bytes of the image at which the agent went on reading after a break."""
    return [int(found) for found in re.findall(r"going\s+on\s+from\s+byte\s+(\d+)", said)]


def test_a_flash_goes_on_where_it_was_after_the_cable_was_pulled(
    lan: Lan, live: LabServer, heavy: Path, box: Machine, disk: Path, timings: Timings
) -> None:
    live.assign(box.mac, image="heavy.img", target="only", boot_policy="flash-once")
    timings.about("cable pulled", box.firmware, "flash-once")
    with box:
        box.wait("attempt 1 writes heavy.img", STARTED)
        before = lan.served
        reaches(live, box, under_way, FLASHED)
        assert not boots(disk)
        lan.cut()
        # A connection that says nothing for 30 s is given up; a shorter break TCP mends by itself.
        box.wait(r"going\s+on\s+from\s+byte", 90)
        assert not boots(disk)
        lan.mend()
        timings.note("flashed", box.wait("attempt 1 reboots now", FLASHED))
        used = lan.served - before
        timings.note("system up", box.wait("BTY-SYSTEM-UP name=heavy", BOOTED))
    assert holds(disk, heavy)
    assert all(position > EARLY / 2 for position in went_on(box.said)), went_on(box.said)
    assert used < SIZE * 1.5, "the image was sent from its beginning again"
    assert story(box.said) == ["flash heavy.img", "live", "reboots", "own disk", "system heavy"]
    assert [one["state"] for one in live.attempts(box.mac)] == ["done"]


def test_a_flash_goes_on_after_the_server_was_killed_and_started_again(
    lan: Lan, live: LabServer, heavy: Path, box: Machine, disk: Path, timings: Timings
) -> None:
    live.assign(box.mac, image="heavy.img", target="only", boot_policy="flash-once")
    timings.about("server killed", box.firmware, "flash-once")
    with box:
        box.wait("attempt 1 writes heavy.img", STARTED)
        before = lan.served
        reaches(live, box, under_way, FLASHED)
        live.stop(signal.SIGKILL)
        box.wait(r"going\s+on\s+from\s+byte", 60)
        live.start()
        timings.note("flashed", box.wait("attempt 1 reboots now", FLASHED))
        used = lan.served - before
        timings.note("system up", box.wait("BTY-SYSTEM-UP name=heavy", BOOTED))
    assert holds(disk, heavy)
    assert all(position > EARLY / 2 for position in went_on(box.said)), went_on(box.said)
    assert used < SIZE * 1.5, "the image was sent from its beginning again"
    assert story(box.said) == ["flash heavy.img", "live", "reboots", "own disk", "system heavy"]
    assert [one["state"] for one in live.attempts(box.mac)] == ["done"]


def test_a_machine_that_loses_power_does_not_boot_half_a_system(
    live: LabServer, heavy: Path, box: Machine, disk: Path, tmp_path: Path, timings: Timings
) -> None:
    # Another system filled the disk, to the spare copy of its partition table at the far end.
    disk.write_bytes(small_system("two").read_bytes())
    live.assign(box.mac, image="heavy.img", target="only", boot_policy="flash-once")
    timings.about("power lost", box.firmware, "flash-once")
    with box:
        reaches(live, box, under_way, STARTED + FLASHED)
        box.off()
        assert not boots(disk)
        there, wanted = disk.read_bytes(), heavy.read_bytes()
        middle = slice(2 * MIB, 8 * MIB)
        assert there[middle] == wanted[middle]
        assert b"EFI PART" not in there[:MIB] + there[-MIB:]
        with Machine("alone", tmp_path, drives=[Drive(disk)], memory=128) as alone:
            alone.wait("No bootable device", 60)
        began = len(box.said)
        box.on()
        timings.note("flashed", box.wait("attempt 2 reboots now", STARTED + FLASHED, after=began))
        timings.note("system up", box.wait("BTY-SYSTEM-UP name=heavy", BOOTED, after=began))
    assert holds(disk, heavy)
    flash = ["flash heavy.img", "live"]
    assert story(box.said) == [*flash, *flash, "reboots", "own disk", "system heavy"]
    states = [(one["id"], one["state"]) for one in live.attempts(box.mac)]
    assert states == [(2, "done"), (1, "superseded")]


def test_an_image_that_disappears_while_a_machine_starts_brings_the_wizard(
    live: LabServer, box: Machine, disk: Path, timings: Timings
) -> None:
    live.add_image(packed(small_system("one")), "one.img.zst")
    live.assign(box.mac, image="one.img.zst", target="only", boot_policy="flash")
    timings.about("image gone", box.firmware, "flash")
    with box:
        box.wait("BTY-LIVE-UP", STARTED)
        with box.stopped():
            # An operator cannot delete it now; somebody with a shell can.
            refused = live.ask("DELETE", "/api/v1/images/one.img.zst")
            assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
            (live.state / "images/one.img.zst").unlink()
        box.shows("This machine was to be flashed by itself", STARTED)
        box.shows("the image one.img.zst is no longer in the", 10)  # catalog, on the next line
        assert disk.read_bytes().count(0) == disk.stat().st_size
        # Its next contact says so at once.
        began = len(box.said)
        box.reset()
        box.wait(r"bty: the image one\.img\.zst is no longer in the catalog", BOOTED, after=began)
        box.shows("has no images yet", STARTED)
    assert story(box.said) == ["flash one.img.zst", "live", "wizard", "live"]


def test_a_disk_that_is_too_small_fails_thrice_and_then_a_person_is_wanted(
    live: LabServer, box: Machine, tmp_path: Path, timings: Timings
) -> None:
    small = blank(tmp_path / "small.raw", SIZE // 2)
    box.drives = [Drive(small)]
    live.add_image(packed(small_system("one")), "one.img.zst")
    live.assign(box.mac, image="one.img.zst", target="only", boot_policy="flash")
    timings.about("disk too small", box.firmware, "flash")
    why = "/dev/vda has 33554432 bytes"
    with box:
        for number in (1, 2, 3):
            began = len(box.said)
            box.wait(f"attempt {number} the server knows", STARTED, after=began)
            box.shows("This machine was to be flashed by itself", 60)
            box.shows(why, 10)
            time.sleep(2)  # it stays there: a person is awaited
            box.shows(why, 1)
            box.reset()
        began = len(box.said)
        box.wait("3 automatic attempts in a row have failed", BOOTED, after=began)
        box.shows("one.img.zst", STARTED)
    failed = [one for one in live.attempts(box.mac) if one["mode"] == "auto"]
    assert [(one["state"], one["code"]) for one in failed] == [("failed", "disk-too-small")] * 3
    assert why in failed[0]["message"]
    assert story(box.said) == [*["flash one.img.zst", "live"] * 3, "wizard", "live"]
    assert small.read_bytes().count(0) == small.stat().st_size


def test_a_selector_without_a_disk_says_what_is_there_instead(
    live: LabServer, box: Machine, disk: Path, timings: Timings
) -> None:
    live.add_image(packed(small_system("one")), "one.img.zst")
    target = "serial:ANOTHER1"
    live.assign(box.mac, image="one.img.zst", target=target, boot_policy="flash-once")
    timings.about("no such disk", box.firmware, "flash-once")
    with box:
        box.wait("attempt 1 the server knows", STARTED)
        box.shows("This machine was to be flashed by itself", 60)
        box.shows(target, 10)
        box.shows("LAB0001", 10)
        # By now the server knows its disks, and does not try what cannot be.
        began = len(box.said)
        box.reset()
        box.wait("ANOTHER1", BOOTED, after=began)
        box.shows("one.img.zst", STARTED)
        # The operator chooses again.
        live.assign(box.mac, target="serial:LAB0001")
        began = len(box.said)
        box.reset()
        box.wait("BTY-SYSTEM-UP name=one", STARTED + FLASHED, after=began)
    assert holds(disk, small_system("one"))
    told = ["flash one.img.zst", "live", "wizard", "live"]
    assert story(box.said) == [
        *told,
        "flash one.img.zst",
        "live",
        "reboots",
        "own disk",
        "system one",
    ]
    first = live.attempts(box.mac)[-1]
    assert (first["state"], first["code"]) == ("failed", "disk-not-found")
