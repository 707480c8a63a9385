"""Moving the backup of a GPT to the real end of a larger disk (UEFI specification, section 5.3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from zlib import crc32

from bty_core.errors import ImageCorrupt


@dataclass(frozen=True, slots=True)
class MovedGpt:
    """What has to be written."""

    head: bytes  # the start of the disk, of the same length as before
    backup_at: int  # bytes
    backup: bytes  # entries and header, up to the end of the disk
    old_header: tuple[int, int]  # where the image has its backup header: offset and length in bytes


def move_backup(head: bytes, disk_size: int) -> MovedGpt | None:
    """Return the GPT in `head`, the first MiB of a disk, made for a disk of `disk_size` bytes.

    None where there is no GPT, or its backup is at the end already. Partitions stay as they are; the protective MBR
    and the last usable sector grow with the disk. Raises `ImageCorrupt` where the header's own sums are wrong.
    """
    sector = next((size for size in (512, 4096) if head[size : size + 8] == b"EFI PART"), None)
    if sector is None:
        return None
    header = bytearray(head[sector : 2 * sector])
    size, stated = struct.unpack_from("<II", header, 12)
    entries_lba, count, entry_size, entries_sum = struct.unpack_from("<QIII", header, 72)
    table = head[entries_lba * sector :][: count * entry_size]
    if (
        not 92 <= size <= sector
        or crc32(header[:16] + bytes(4) + header[20:size]) != stated
        or len(table) != count * entry_size
        or crc32(table) != entries_sum
    ):
        raise ImageCorrupt(
            "the GPT of the image has wrong checksums",
            hint="mend the image with sgdisk, or fetch it again",
        )
    last = disk_size // sector - 1
    table_sectors = -(-len(table) // sector)
    old_backup = struct.unpack_from("<Q", header, 32)[0]
    if old_backup == last:
        return None

    primary = bytearray(header)
    struct.pack_into("<Q", primary, 32, last)
    struct.pack_into("<Q", primary, 48, last - table_sectors - 1)
    backup = bytearray(primary)
    struct.pack_into("<QQ", backup, 24, last, 1)
    struct.pack_into("<Q", backup, 72, last - table_sectors)
    for one in (primary, backup):
        struct.pack_into("<I", one, 16, 0)
        struct.pack_into("<I", one, 16, crc32(one[:size]))

    new_head = bytearray(head)
    new_head[sector : 2 * sector] = primary
    for entry in range(446, 510, 16):
        if new_head[entry + 4] == 0xEE:
            first = struct.unpack_from("<I", new_head, entry + 8)[0]
            struct.pack_into("<I", new_head, entry + 12, min(last - first + 1, 0xFFFFFFFF))
    padded = bytes(table).ljust(table_sectors * sector, b"\0")
    return MovedGpt(
        head=bytes(new_head),
        backup_at=(last - table_sectors) * sector,
        backup=padded + bytes(backup),
        old_header=(old_backup * sector, sector),
    )
