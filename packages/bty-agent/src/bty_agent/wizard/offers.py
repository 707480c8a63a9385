"""What the wizard lets a person choose from: images, disks, what is set up on them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bty_core.disks.guard import objections
from bty_core.disks.model import Disk, Kind
from bty_core.disks.words import contents, reasons, state
from bty_core.program.console import plain
from bty_core.values import size_text
from bty_core.wire.plan import ProvisioningMode


class Origin(StrEnum):
    """Which catalog an image comes from."""

    LOCAL = "local"  # a folder of this computer, mostly on the stick
    SERVER = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One image of a catalog. Sizes are bytes; None is what nobody knows yet."""

    name: str
    where: str  # a path or an address
    format: str | None
    size: int  # as stored
    virtual_size: int | None  # on the disk
    digest: str | None = None  # 64 hexadecimal digits, of the file as stored
    digest_origin: str = ""
    description: str | None = None
    problem: str | None = None  # why it cannot be written


@dataclass(frozen=True, slots=True)
class Setup:
    """Something that can be set up on the disk after the write; `folder` has its files, or the server."""

    mode: ProvisioningMode
    name: str = ""
    folder: Path | None = None
    served: bool = False  # the server has it for this machine

    @property
    def title(self) -> str:
        """What a person calls it."""
        return f"{self.mode.value} {self.name}".strip()


NOTHING = Setup(ProvisioningMode.NONE)
_STATES = {"system": "the running system or the live medium"}


def offered(disks: tuple[Disk, ...], *, removable: bool) -> tuple[Disk, ...]:
    """Return the disks that are shown: whole disks, and loop devices once removable ones are allowed."""
    kinds = (Kind.DISK, Kind.LOOP) if removable else (Kind.DISK,)
    return tuple(disk for disk in disks if disk.kind in kinds)


def why_not(disk: Disk, image: Offer | None, *, removable: bool) -> str | None:
    """Return why `disk` cannot be chosen now, or None where it can."""
    if objections(disk):
        told = ", ".join(reasons(disk))
        kept = _STATES.get(state(disk), state(disk))
        return f"{kept}: {told}" if told else kept
    wanted = image.virtual_size if image else None
    if wanted is not None and wanted > disk.size:
        return f"too small: the image needs {size_text(wanted)}"
    if disk.named_only and not removable:
        kind = "removable" if disk.removable or disk.transport == "usb" else "not a disk of its own"
        return f"{kind}: allow it below first"
    return None


def holds_something(disk: Disk) -> bool:
    """Whether partitions or a filesystem would be lost."""
    return bool(disk.partitions or disk.filesystem)


def now_on(disk: Disk) -> str:
    """Return what is on `disk`."""
    return plain(contents(disk)) if disk.size else "no medium"
