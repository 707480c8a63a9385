"""The partition table inside an image, read from its first bytes and nowhere else."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

# A GPT of 128 entries ends before this on disks of either sector size.
TABLE_BYTES = 34 * 4096

_GPT_HEADER_BYTES = 92

ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
BIOS_BOOT = "21686148-6449-6e6f-744e-656564454649"
MBR_ESP = "0xef"
_MBR_PROTECTIVE = "0xee"


class TableKind(StrEnum):
    """The kinds of partition tables that bty reads."""

    GPT = "gpt"
    DOS = "dos"


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePartition:
    """One partition, in bytes from the start of the image."""

    number: int
    start: int
    size: int
    type: str  # GPT type UUID in lower case, or the MBR type as 0x83
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTable:
    """A partition table as it stands in an image."""

    kind: TableKind
    sector_size: int  # bytes; of a DOS table always 512, which it cannot say
    partitions: tuple[TablePartition, ...]
    backup_at: int | None  # where the GPT's backup header must stand, in bytes
    boot_code: bool  # the first sector holds code for a BIOS

    @property
    def end(self) -> int:
        """The byte behind the last partition."""
        return max((part.start + part.size for part in self.partitions), default=0)

    @property
    def boots_uefi(self) -> bool:
        """Whether there is an EFI system partition."""
        return any(part.type in (ESP, MBR_ESP) for part in self.partitions)

    @property
    def boots_bios(self) -> bool:
        """Whether there is boot code in the first sector."""
        return self.boot_code


def read_table(head: bytes) -> ImageTable | None:
    """Return the partition table in `head`, the first `TABLE_BYTES` of an image, or None where there is none."""
    for sector_size in (512, 4096):
        header = head[sector_size : sector_size + _GPT_HEADER_BYTES]
        if len(header) == _GPT_HEADER_BYTES and header.startswith(b"EFI PART"):
            return _read_gpt(head, sector_size)
    return _read_dos(head)


def _read_gpt(head: bytes, sector_size: int) -> ImageTable:
    backup_lba, entries_lba, count, entry_size = struct.unpack_from(
        "<32xQ32xQII", head, sector_size
    )
    partitions = []
    for number in range(1, min(count, 1024) + 1):
        entry = head[entries_lba * sector_size + (number - 1) * entry_size :][:entry_size]
        if len(entry) < 128 or not any(entry[:16]):
            continue
        first, last = struct.unpack_from("<QQ", entry, 32)
        partitions.append(
            TablePartition(
                number=number,
                start=first * sector_size,
                size=(last - first + 1) * sector_size,
                type=str(UUID(bytes_le=entry[:16])),
                name=entry[56:128].decode("utf-16-le", errors="replace").rstrip("\0") or None,
            )
        )
    return ImageTable(
        kind=TableKind.GPT,
        sector_size=sector_size,
        partitions=tuple(partitions),
        backup_at=backup_lba * sector_size,
        boot_code=any(head[:440]),
    )


def _read_dos(head: bytes) -> ImageTable | None:
    if head[510:512] != b"\x55\xaa":
        return None
    partitions = []
    for number in range(1, 5):
        flag, kind, first, count = struct.unpack_from("<B3xB3xII", head, 446 + 16 * (number - 1))
        # A FAT or NTFS boot sector ends with the same two bytes, but what stands there is code.
        if flag not in (0, 0x80):
            return None
        if kind and count:
            partitions.append(
                TablePartition(
                    number=number,
                    start=first * 512,
                    size=count * 512,
                    type=f"0x{kind:02x}",
                    name=None,
                )
            )
    if not partitions or all(part.type == _MBR_PROTECTIVE for part in partitions):
        return None
    return ImageTable(
        kind=TableKind.DOS,
        sector_size=512,
        partitions=tuple(partitions),
        backup_at=None,
        boot_code=any(head[:440]),
    )
