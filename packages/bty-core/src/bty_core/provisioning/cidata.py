"""A CIDATA partition: where it fits, its entry in the table, and its filesystem.

Each step is safe to lose power in: the filesystem is on the disk before there is a partition, and of a GPT the
backup comes first.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import randbits
from uuid import UUID, uuid4
from zlib import crc32

from bty_core.errors import BtyError
from bty_core.flash.gpt import move_backup
from bty_core.flash.kernel import read_partition_table_again
from bty_core.images.table import TABLE_BYTES, ImageTable, TableKind
from bty_core.provisioning.errors import SeedNotPlaced
from bty_core.provisioning.fat import capacity, filesystem
from bty_core.provisioning.partitions import Volume, read_disk_table
from bty_core.values import MIB

LABEL = "CIDATA"
SIZE = 8 * MIB
_GPT_TYPE = UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")  # Microsoft basic data
_MBR_TYPE = 0x0C  # FAT, addressed by sectors
_MBR_SLOTS = range(446, 510, 16)
_BY_SECTORS = b"\xfe\xff\xff"  # no cylinder, head and sector
_BACKUP = 33 * 4096  # bytes behind the last partition that any usual GPT needs
_MOST_OF_MBR = 1 << 32  # sectors


@dataclass(frozen=True, slots=True)
class Room:
    """Where the partition goes."""

    start: int  # bytes
    length: int


def room_behind(table: ImageTable, disk_size: int) -> Room | None:
    """Return where a CIDATA partition fits behind the partitions of `table`; None where it does not.

    It is at the very end, so that the partition before it can grow.
    """
    if table.kind is TableKind.GPT:
        end = disk_size - _BACKUP
    else:
        if len(table.partitions) >= len(_MBR_SLOTS):
            return None
        end = min(disk_size, _MOST_OF_MBR * table.sector_size)
    start = (end - SIZE) // MIB * MIB
    first = max(-(-table.end // MIB) * MIB, MIB)
    return Room(start, SIZE) if start >= first else None


def room_needed(table: ImageTable) -> int:
    """Return the size of a disk, in bytes, on which a CIDATA partition fits behind the partitions of `table`."""
    return -(-table.end // MIB) * MIB + SIZE + 2 * MIB


def is_cidata(volume: Volume) -> bool:
    """Whether cloud-init would take its seed from there."""
    return (volume.label or "").upper() == LABEL and volume.filesystem in ("vfat", "iso9660")


def fill(volume: Volume, files: Mapping[str, bytes], sector: int) -> None:
    """Make the partition a CIDATA with `files`, whatever is in it now; raise `SeedNotPlaced`."""
    if sum(map(len, files.values())) + 4096 * len(files) > capacity(volume.size, sector):
        raise SeedNotPlaced(
            f"{volume} is labelled {LABEL}, and too small for the seed",
            hint="cloud-init would prefer it to any other place: remove it from the image",
        )
    with _claimed(volume.disk) as handle:
        _write(handle, volume.start, _image(volume.size, sector, files))
        os.fsync(handle)
        _show(handle)


def add(disk: Path, size: int, files: Mapping[str, bytes]) -> str:
    """Add a CIDATA partition with `files` to the disk, or regular file, of `size` bytes; return its name for people.

    A file grows where it has to. The backup of a GPT goes to the disk's real end. Raises `SeedNotPlaced`.
    """
    with _claimed(disk) as handle:
        table = read_disk_table(handle)
        if table is None:
            raise SeedNotPlaced(f"{disk} has no partition table, so a {LABEL} cannot be added")
        if not disk.is_block_device() and room_needed(table) > size:
            size = room_needed(table)
            os.ftruncate(handle, size)
        room = room_behind(table, size)
        if room is None:
            raise SeedNotPlaced(
                f"{disk} has no room for a {LABEL} partition behind the image",
                hint="choose a larger disk, or a smaller image",
            )
        _write(handle, room.start, _image(room.length, table.sector_size, files))
        os.fsync(handle)
        if table.kind is TableKind.GPT:
            number = _enter_gpt(handle, size, table, room)
        else:
            number = _enter_mbr(handle, table, room)
        os.fsync(handle)
        _show(handle)
    return f"partition {number} of {disk}"


def _show(handle: int) -> None:
    """Have the kernel show the partitions as they are now, with nothing of them in its cache."""
    with suppress(OSError):  # it shows none of a regular file, and of some loop devices
        read_partition_table_again(handle)


def _image(size: int, sector: int, files: Mapping[str, bytes]) -> bytes:
    return filesystem(size, sector, LABEL, files, serial=randbits(32))


def _enter_gpt(handle: int, size: int, table: ImageTable, room: Room) -> int:
    head = os.pread(handle, MIB, 0)
    try:
        moved = move_backup(head, size)
    except BtyError as error:
        raise SeedNotPlaced(f"no partition can be added: {error.message}") from error
    new = bytearray(moved.head if moved else head)
    sector = table.sector_size
    header = new[sector : 2 * sector]
    length, at, count, each = (
        struct.unpack_from("<I", header, 12)[0],
        struct.unpack_from("<Q", header, 72)[0] * sector,
        *struct.unpack_from("<II", header, 80),
    )
    taken = {part.number for part in table.partitions}
    number = next((one for one in range(1, count + 1) if one not in taken), None)
    if number is None:
        raise SeedNotPlaced(f"the partition table has no free entry for a {LABEL}")
    struct.pack_into(
        "<16s16sQQQ72s",
        new,
        at + (number - 1) * each,
        _GPT_TYPE.bytes_le,
        uuid4().bytes_le,
        room.start // sector,
        (room.start + room.length) // sector - 1,
        0,
        LABEL.encode("utf-16-le"),
    )
    entries = bytes(new[at : at + count * each])
    struct.pack_into("<I", header, 88, crc32(entries))
    last = size // sector - 1
    space = -(-len(entries) // sector)
    backup = bytearray(header)
    struct.pack_into("<QQ", backup, 24, last, 1)
    struct.pack_into("<Q", backup, 72, last - space)
    for one in (header, backup):
        struct.pack_into("<I", one, 16, 0)
        struct.pack_into("<I", one, 16, crc32(one[:length]))
    new[sector : 2 * sector] = header

    _write(handle, (last - space) * sector, entries.ljust(space * sector, b"\0") + bytes(backup))
    os.fsync(handle)
    _write(handle, 0, bytes(new[:TABLE_BYTES]))
    if moved and moved.old_header[0] >= table.end:
        offset, length = moved.old_header
        if not room.start - length < offset < room.start + room.length:
            _write(handle, offset, bytes(length))
    return number


def _enter_mbr(handle: int, table: ImageTable, room: Room) -> int:
    taken = {part.number for part in table.partitions}
    number = next(one for one in range(1, 5) if one not in taken)
    first, count = room.start // table.sector_size, room.length // table.sector_size
    entry = struct.pack("<B3sB3sII", 0, _BY_SECTORS, _MBR_TYPE, _BY_SECTORS, first, count)
    boot = bytearray(os.pread(handle, 512, 0))
    at = _MBR_SLOTS[number - 1]
    boot[at : at + 16] = entry
    _write(handle, 0, bytes(boot))
    return number


@contextmanager
def _claimed(disk: Path) -> Iterator[int]:
    """Open the disk for writing, for nobody else and not while it is mounted; raise `SeedNotPlaced`."""
    alone = os.O_EXCL if disk.is_block_device() else 0
    try:
        handle = os.open(disk, os.O_RDWR | os.O_CLOEXEC | alone)
    except OSError as error:
        raise SeedNotPlaced(
            f"{disk} cannot be opened for writing: {error.strerror}",
            hint="something has mounted it: unmount it, and flash again",
        ) from error
    try:
        yield handle
    except OSError as error:
        raise SeedNotPlaced(
            f"{disk} does not take the {LABEL} partition: {error.strerror}"
        ) from error
    finally:
        os.close(handle)


def _write(handle: int, offset: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(handle, view, offset)
        view, offset = view[done:], offset + done
