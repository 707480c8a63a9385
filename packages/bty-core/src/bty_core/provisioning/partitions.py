"""What is on a disk now: its table, the filesystems in it, and the room behind them."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from bty_core import proc
from bty_core.flash.kernel import device_size, sector_size
from bty_core.images.table import TABLE_BYTES, ImageTable, read_table

_TIMEOUT = 60.0
_DOS_SECTOR = 512
_FIRST_LOGICAL, _MOST_LOGICAL = 5, 60
_EXTENDED = frozenset({"0x05", "0x0f", "0x85"})
_NOTHING_FOUND, _SEVERAL_FOUND = 2, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """One partition, or a whole disk without a table, and what blkid finds in it."""

    disk: Path
    number: int | None  # None: the whole disk
    start: int  # bytes from the start of the disk
    size: int  # bytes
    filesystem: str | None  # as blkid calls it: ext4, xfs, btrfs, crypto_LUKS, LVM2_member
    label: str | None
    uuid: str | None

    def __str__(self) -> str:
        if self.number is None:
            return str(self.disk)
        if not self.disk.is_block_device():
            return f"partition {self.number} of {self.disk}"
        between = "p" if self.disk.name[-1].isdigit() else ""
        return f"{self.disk}{between}{self.number}"


def read_disk_table(handle: int) -> ImageTable | None:
    """Return the partition table of the open disk or file; None where there is none."""
    return read_table(os.pread(handle, TABLE_BYTES, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What is on a disk. Sizes are bytes."""

    size: int
    sector: int
    volumes: tuple[
        Volume, ...
    ]  # in the order of their numbers; a disk without a table is one volume
    types: frozenset[str]  # of its partitions: GPT type UUIDs, or MBR types as 0x83


def read_contents(disk: Path) -> Contents:
    """Look at a disk, or a regular file that stands for one. Raises `CommandFailed` and `OSError`."""
    handle = os.open(disk, os.O_RDONLY | os.O_CLOEXEC)
    try:
        block = disk.is_block_device()
        size = device_size(handle) if block else os.fstat(handle).st_size
        sector = sector_size(handle) if block else None
        table = read_disk_table(handle)
        places = _places(handle, table) if table else []
    finally:
        os.close(handle)
    if table is None:
        found, types = [_volume(disk, None, 0, size)], frozenset[str]()
    else:
        types = frozenset(part.type for part in table.partitions)
        found = [
            _volume(disk, number, start, length)
            for number, start, length in sorted(places)
            if start + length <= size
        ]
    sector = sector or (table.sector_size if table else 512)
    return Contents(size=size, sector=sector, volumes=tuple(found), types=types)


def _places(handle: int, table: ImageTable) -> list[tuple[int, int, int]]:
    """Return number, start and size of each partition, those in extended ones of a DOS table included."""
    found = []
    for part in table.partitions:
        if part.type in _EXTENDED:
            found += _logical(handle, part.start)
        else:
            found.append((part.number, part.start, part.size))
    return found


def _logical(handle: int, extended: int) -> list[tuple[int, int, int]]:
    """Follow the chain of boot records in an extended partition; each has one partition, and where the next is."""
    found: list[tuple[int, int, int]] = []
    at = extended
    while len(found) < _MOST_LOGICAL:
        record = os.pread(handle, _DOS_SECTOR, at)
        if record[510:] != b"\x55\xaa":
            break
        kind, first, count = struct.unpack_from("<4xB3xII", record, 446)
        following, distance = struct.unpack_from("<4xB3xI", record, 462)
        if kind and count:
            place = at + first * _DOS_SECTOR, count * _DOS_SECTOR
            found.append((_FIRST_LOGICAL + len(found), *place))
        if f"0x{following:02x}" not in _EXTENDED or not distance:
            break
        at = extended + distance * _DOS_SECTOR
    return found


def _volume(disk: Path, number: int | None, start: int, size: int) -> Volume:
    said = proc.run(
        ["blkid", "--probe", "--output", "export", f"--offset={start}", f"--size={size}", disk],
        timeout=_TIMEOUT,
        ok=(0, _NOTHING_FOUND, _SEVERAL_FOUND),
    )
    found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    return Volume(
        disk=disk,
        number=number,
        start=start,
        size=size,
        filesystem=found.get("TYPE"),
        label=found.get("LABEL"),
        uuid=found.get("UUID"),
    )
