"""`bty-tui` on a computer that does not exist: disks from a list, a regular file that takes all writes.

Started as a program: SCRATCH and words for the wizard; `modes` in front offers provisioning modes, `user` is not root.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from bty_agent.__main__ import run_main
from bty_agent.console import Console
from bty_agent.exits import Exit
from bty_agent.wizard import main as program
from bty_core.disks.file_target import file_disk
from bty_core.disks.model import Disk, Kind, Partition, Transport, Use
from bty_core.disks.select import Selector, choose
from bty_core.errors import BtyError
from bty_core.events import Done, Emit
from bty_core.flash.engine import flash
from bty_core.flash.plan import FlashPlan
from bty_core.machine.inventory import read_inventory
from bty_core.machine.model import Firmware, Inventory
from bty_core.wire.plan import ProvisioningMode

GB = 10**9


def part(disk: str, number: int, size: int, filesystem: str, label: str) -> Partition:
    return Partition(
        path=Path(f"/dev/{disk}{number}"),
        number=number,
        start=2**20 * number,
        size=size,
        type=None,
        partlabel=None,
        filesystem=filesystem,
        label=label,
    )


def disk(name: str, number: int, **values: object) -> Disk:
    known: dict[str, object] = {
        "kind": Kind.DISK,
        "logical_sector": 512,
        "physical_sector": 4096,
        "device": (8, 16 * number),
        "diskseq": number,
        "wwn": None,
        "removable": False,
        "read_only": False,
        "rotational": False,
        "by_path": (),
        "table": None,
        "filesystem": None,
        "label": None,
        "partitions": (),
        "uses": (),
    }
    return Disk(path=Path("/dev", name), **{**known, **values})  # type: ignore[arg-type]


DISKS = [
    disk(
        "nvme0n1",
        1,
        size=1000 * GB,
        model="Samsung SSD 980 PRO 1TB",
        serial="S5GXNX0W123456",
        transport=Transport.NVME,
        table="gpt",
        partitions=(
            part("nvme0n1p", 1, 105 * 10**6, "vfat", "SYSTEM"),
            part("nvme0n1p", 2, 998 * GB, "ntfs", "Windows"),
        ),
    ),
    disk(
        "sda",
        2,
        size=4000 * GB,
        model="ST4000NM0035",
        serial="ZC1A2B3C",
        transport=Transport.SATA,
        rotational=True,
    ),
    disk(
        "sdb",
        3,
        size=32 * GB,
        model="Ultra Fit",
        serial="4C530001",
        transport=Transport.USB,
        removable=True,
        table="gpt",
        partitions=(
            part("sdb", 1, 256 * 10**6, "vfat", "BTY_BOOT"),
            part("sdb", 2, 31 * GB, "exfat", "BTY_IMAGES"),
        ),
        uses=(
            Use(device=Path("/dev/sdb2"), what="mounted on /var/lib/bty/images", running_system=True),
        ),
    ),
    disk(
        "sdc",
        4,
        size=16 * GB,
        model="DataTraveler",
        serial="0019E06B",
        transport=Transport.USB,
        removable=True,
        filesystem="vfat",
        label="HOLIDAYS",
    ),
    disk("sdd", 5, size=4 * 10**6, model="Tiny", serial="T1", transport=Transport.SATA),
]  # fmt: skip


class Laptop:
    """A computer with UEFI and five disks."""

    firmware = Firmware.UEFI
    console = "tty1"

    def __init__(self, scratch: Path, *, can_write: bool) -> None:
        self._scratch = scratch
        self.can_write = can_write

    def disks(self) -> list[Disk]:
        return DISKS

    def find(self, selector: Selector) -> Disk:
        return choose(DISKS, selector)

    def inventory(self) -> Inventory:
        return replace(read_inventory(disks=DISKS), firmware=self.firmware)

    def flash(self, plan: FlashPlan, emit: Emit, cancel: threading.Event) -> Done:
        scratch = file_disk(self._scratch)
        try:
            return flash(plan.onto(scratch), emit, cancel)
        except BtyError as error:
            error.aftermath = (error.aftermath or "").replace(
                str(scratch.path), str(plan.disk.path)
            )
            raise

    def boot_once(self, disk: Disk, title: str) -> str:
        return f"boot entry for {title}"

    def set_clock(self, to: datetime) -> None:
        sys.stdout.write(f"it would set the clock to {to}\n")

    def reboot(self) -> None:
        sys.stdout.write("it would reboot\n")

    def power_off(self) -> None:
        sys.stdout.write("it would power off\n")

    def shell(self) -> None:
        sys.stdout.write("it would start a shell\n")


def main(argv: list[str], console: Console) -> Exit:
    words = list(argv)
    modes = words[0] == "modes" and bool(words.pop(0))
    user = words[0] == "user" and bool(words.pop(0))
    if modes:
        program.MODES = tuple(ProvisioningMode)
    host = Laptop(Path(words.pop(0)), can_write=not user)
    return program.main(words, console, host)


if __name__ == "__main__":
    run_main(lambda argv, console: main(list(argv), console))
