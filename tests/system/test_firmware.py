"""Each way in which firmware starts from the network: from power-on to the flashed system, which firmware then starts.

In the small live environment, with the real agent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.lab.disks import blank, holds
from tests.system.lab.firmware import Firmware
from tests.system.lab.machine import Drive, Machine
from tests.system.lab.media import packed, small_system
from tests.system.lab.network import Lan
from tests.system.lab.server import LabServer
from tests.system.lab.small_live import small_live
from tests.system.lab.story import contacts
from tests.system.lab.timings import Timings

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A kind of machine. `says`: what its firmware says of the first file that it fetches."""

    firmware: Firmware
    plain_rom: bool
    says: str
    http_boot: bool = False
    asks: int = 1  # times, on the way to its own disk


WAYS = {
    "bios-ipxe-rom": Way(
        firmware=Firmware.BIOS,
        plain_rom=False,
        says="Filename: http://10.77.0.2:8080/pxe-bootstrap.ipxe",
    ),
    "bios-plain-rom": Way(
        firmware=Firmware.BIOS,
        plain_rom=True,
        says="tftp://10.77.0.2/undionly.kpxe... ok",
    ),
    "uefi-pxe": Way(
        firmware=Firmware.UEFI,
        plain_rom=True,
        says="NBP filename is snponly.efi",
        asks=2,  # when PXE ends with "boot your disk", the firmware tries HTTP boot before the disk
    ),
    "uefi-http": Way(
        firmware=Firmware.UEFI,
        plain_rom=True,
        http_boot=True,
        says="URI: http://10.77.0.2:8080/boot/snponly.efi",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_machine_is_flashed_and_boots_its_own_system(
    lan: Lan, server: LabServer, tmp_path: Path, way: str, timings: Timings
) -> None:
    server.install_live(small_live())
    image = small_system("one")
    server.add_image(packed(image), "one.img.zst")
    disk = blank(tmp_path / "disk.raw")
    kind = WAYS[way]
    box = Machine(
        "box",
        tmp_path,
        kind.firmware,
        [Drive(disk)],
        lan=lan,
        plain_rom=kind.plain_rom,
        http_boot=kind.http_boot,
    )
    server.assign(box.mac, image="one.img.zst", target="only", boot_policy="flash-once")
    timings.about("unattended", way, "flash-once")
    with box:
        timings.note("contact", box.wait("bty: asking http://10.77.0.2:8080 what", 120))
        timings.note("live", box.wait("BTY-LIVE-UP", 240))
        timings.note("flashed", box.wait("attempt 1 reboots now", 150))
        up = f"BTY-SYSTEM-UP name=one firmware={kind.firmware}"
        timings.note("system up", box.wait(up, 150))
    assert holds(disk, image)
    own = ["own disk"] * kind.asks
    assert contacts(box.said) == ["flash one.img.zst", "live", "reboots", *own, "system one"]
    assert [one["state"] for one in server.attempts(box.mac)] == ["done"]
    first = box.said.partition("bty: asking")[0]
    assert kind.says in first
    assert (".efi" in first) == (kind.firmware is Firmware.UEFI)
