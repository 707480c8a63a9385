"""All of this machine as one value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bty_core.disks.lsblk import read_disks
from bty_core.disks.model import Disk, Kind
from bty_core.disks.sysfs import clean
from bty_core.machine.dmi import read_identity
from bty_core.machine.model import Firmware, Inventory
from bty_core.machine.nics import read_nics

_MODEL = re.compile(r"^model name\s*:(.*)$", re.MULTILINE)
_MEMORY = re.compile(r"^MemTotal:\s*(\d+) kB$", re.MULTILINE)


def read_inventory(*, disks: Sequence[Disk] | None = None, root: Path = Path("/")) -> Inventory:
    """Read what this machine is and has.

    `disks` are those of `read_disks` where they were read already; see `reported`. `root` is where
    sysfs and /proc are.
    """
    known = read_disks() if disks is None else disks
    return Inventory(
        identity=read_identity(root),
        firmware=Firmware.UEFI if (root / "sys/firmware/efi").exists() else Firmware.BIOS,
        cpu=_cpu(root),
        memory_bytes=_memory(root),
        disks=reported(known),
        nics=tuple(read_nics(root)),
    )


def reported(disks: Sequence[Disk]) -> tuple[Disk, ...]:
    """Return those of `disks` that are part of a machine's inventory.

    Loop devices, optical drives, virtual disks and drives without a medium are not.
    """
    return tuple(
        disk for disk in disks if disk.kind is Kind.DISK and disk.size and not disk.virtual
    )


def _cpu(root: Path) -> str | None:
    found = _MODEL.search(_read(root / "proc/cpuinfo"))
    if found:
        return clean(" ".join(found[1].split()))
    # ARM's list of processors has no names; the device tree names the board.
    return clean(_read(root / "sys/firmware/devicetree/base/model"))


def _memory(root: Path) -> int:
    found = _MEMORY.search(_read(root / "proc/meminfo"))
    return int(found[1]) * 1024 if found else 0


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
