"""The plan of a flash: everything known before the first write, and every reason against it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from bty_core.disks.guard import objections
from bty_core.disks.model import Disk, Kind
from bty_core.disks.sysfs import read_facts
from bty_core.errors import DiskTooSmall, ImageIsTarget, Refused, SectorSizeMismatch
from bty_core.images.decode import MAX_WINDOW
from bty_core.images.digest import KnownDigest
from bty_core.images.file import FileSource
from bty_core.images.inspect import Image
from bty_core.images.table import TableKind
from bty_core.values import size_text


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashOptions:
    """How to flash."""

    verify: bool = True  # read the disk back after the write
    fix_gpt: bool = False  # move the backup of the GPT to the real end of a larger disk
    max_window: int = MAX_WINDOW  # bytes of history that a decoder may keep


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashPlan:
    """Which image goes onto which disk, and how."""

    image: Image
    disk: Disk
    digest: KnownDigest | None = None
    options: FlashOptions = field(default_factory=FlashOptions)

    @property
    def overwrites_its_image(self) -> bool:
        """Whether the target is the image's own file, or a loop device over it."""
        source = self.image.source
        if not isinstance(source, FileSource):
            return False
        behind = read_facts().of(self.disk.path.name).backing_file
        target = behind if self.disk.kind is Kind.LOOP else self.disk.path
        return target is not None and source.same_file(Path(target))

    def onto(self, disk: Disk) -> FlashPlan:
        """Return the same plan for another look at the disk."""
        return replace(self, disk=disk)


def refusals(plan: FlashPlan) -> list[Refused]:
    """Return every reason for which the plan must not run; none means go. Writes nothing."""
    found = objections(plan.disk)
    image, disk = plan.image, plan.disk
    if plan.overwrites_its_image:
        found.append(
            ImageIsTarget(
                f"{disk.path} is the image itself, and would be erased before it is read",
                hint="choose another target, or copy the image first",
            )
        )
    if disk.kind is Kind.FILE:
        return found
    if image.virtual_size is not None and image.virtual_size > disk.size:
        found.append(
            DiskTooSmall(
                f"{disk.path} has {disk.size} bytes ({size_text(disk.size)}),"
                f" {image.virtual_size - disk.size} too few for {image.name}",
                hint=f"choose a disk of at least {size_text(image.virtual_size)}, or shrink the image",
            )
        )
    if image.table is not None and disk.logical_sector != image.table.sector_size:
        found.append(
            SectorSizeMismatch(
                f"the partition table of {image.name} is made for sectors of {image.table.sector_size} bytes,"
                f" {disk.path} has sectors of {disk.logical_sector}",
                hint="use an image made for such disks, or format the disk to the other sector size",
            )
        )
    return found


def warnings(plan: FlashPlan, firmware: str | None) -> list[str]:
    """Return what a careful person should know and may ignore. `firmware` is "uefi", "bios" or None for unknown."""
    image, disk, table = plan.image, plan.disk, plan.image.table
    larger = image.virtual_size is not None and disk.size > image.virtual_size
    checks = [
        (table is None, f"{image.name} has no partition table: no firmware boots it from a disk"),
        (
            firmware == "uefi" and table is not None and not table.boots_uefi,
            f"{image.name} has no EFI system partition, and this machine was started by UEFI",
        ),
        (
            firmware == "bios" and table is not None and not table.boots_bios,
            f"{image.name} has no boot code for a BIOS, and this machine was not started by UEFI",
        ),
        (
            plan.digest is None,
            f"no digest of {image.name} is known: only damage that its format shows will be found",
        ),
        (
            table is not None
            and table.kind is TableKind.GPT
            and larger
            and not plan.options.fix_gpt,
            "the backup of the GPT will not be at the end of the disk; --fix-gpt moves it there",
        ),
    ]
    return [sentence for applies, sentence in checks if applies]


def firmware() -> str:
    """Return "uefi" or "bios": how this machine was started."""
    return "uefi" if Path("/sys/firmware/efi").exists() else "bios"
