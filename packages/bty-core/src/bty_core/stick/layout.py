"""Where the partition for images is, or would be, on a stick."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from bty_core import proc
from bty_core.errors import CommandFailed
from bty_core.stick.errors import NotAStick
from bty_core.values import MIB

LIVE_NAME = "bty-live"
IMAGES_NAME = "BTY_IMAGES"
# Microsoft basic data: the one that other systems show a person.
IMAGES_TYPE = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
SMALLEST = 64 * MIB
_BACKUP_SECTORS = 33  # the backup of the GPT: 32 sectors of entries at 512 bytes, and its header
_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Area:
    """A range of sectors."""

    start: int
    sectors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The GPT of a stick. `images` is the partition for images, which `number` and `area` are of."""

    disk: Path
    sector: int  # bytes
    number: int
    area: Area
    made: bool  # False: the area is free, and the partition would be made there

    @property
    def offset(self) -> int:
        """Where the partition begins, in bytes."""
        return self.area.start * self.sector

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.area.sectors * self.sector

    @property
    def node(self) -> Path:
        """The device of the partition."""
        between = "p" if self.disk.name[-1].isdigit() else ""
        return self.disk.with_name(f"{self.disk.name}{between}{self.number}")


def read_layout(disk: Path, size: int) -> Layout:
    """Return where images are on the stick `disk` of `size` bytes.

    Raises `NotAStick` where it carries no live environment, or has no room behind it.
    """
    try:
        found = proc.run(["sfdisk", "--json", disk], timeout=_TIMEOUT)
        return layout_of(disk, json.loads(found)["partitiontable"], size)
    except (CommandFailed, ValueError, KeyError) as error:
        raise NotAStick(f"{disk} has no partition table that can be read: {error}") from error


def layout_of(disk: Path, table: dict[str, object], size: int) -> Layout:
    """Return the layout that a table in the JSON of sfdisk says; raise `NotAStick`."""
    entries = table.get("partitions")
    if table.get("label") != "gpt" or not isinstance(entries, list):
        raise NotAStick(f"{disk} has no GPT: it is no stick of bty")
    sector = int(str(table.get("sectorsize", 512)))
    named = {str(one.get("name")): one for one in entries}
    if LIVE_NAME not in named:
        raise NotAStick(f"{disk} has no partition '{LIVE_NAME}': it is no stick of bty")
    if images := named.get(IMAGES_NAME):
        area = Area(int(images["start"]), int(images["size"]))
        return Layout(disk=disk, sector=sector, number=_number(images), area=area, made=True)
    grain = MIB // sector
    used = max(int(one["start"]) + int(one["size"]) for one in entries)
    # The image ends with a backup of the table, and writing it anew must not reach the images.
    start = -(-used // grain) * grain + grain
    end = (size // sector - _BACKUP_SECTORS) // grain * grain
    if (end - start) * sector < SMALLEST:
        raise NotAStick(
            f"{disk} has no room for images behind the live environment",
            hint=f"a partition for them wants {SMALLEST // MIB} MiB at least: take a larger stick",
        )
    number = max(map(_number, entries)) + 1
    return Layout(
        disk=disk, sector=sector, number=number, area=Area(start, end - start), made=False
    )


def _number(entry: dict[str, object]) -> int:
    digits = str(entry["node"])
    return int(digits[len(digits.rstrip("0123456789")) :])
