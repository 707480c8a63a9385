"""A FAT12 filesystem with a few files in its root, as bytes: no program and no temporary file sees what is in it.

After Microsoft's "FAT32 File System Specification", version 1.03, with long names.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from bty_core.values import MIB

LARGEST = 8 * MIB
_CLUSTER = 4096  # bytes; with `LARGEST` it stays below the 4085 clusters at which FAT16 begins
_ROOT_ENTRIES = 512
_ENTRY = 32  # bytes
_LABEL_ENTRY, _LONG_NAME = 0x08, 0x0F
_END = 0xFFF
_DATE = (2000 - 1980) << 9 | 1 << 5 | 1  # whoever flashes need not know the time
_LONG_PART = 13  # characters


def capacity(size: int, sector: int) -> int:
    """Return how many bytes of data a filesystem in `size` bytes takes."""
    return _Layout(size, sector).clusters * _CLUSTER


def filesystem(
    size: int, sector: int, label: str, files: Mapping[str, bytes], *, serial: int = 0
) -> bytes:
    """Return a filesystem of at most `size` bytes, for sectors of `sector` bytes, with `files` in its root.

    `label` has at most eleven capitals; `serial`, of 32 bits, tells it from others.
    Raises `ValueError` where the files do not fit.
    """
    layout = _Layout(size, sector)
    needed = sum(_clusters_of(data) for data in files.values())
    if needed > layout.clusters or layout.clusters < 1:
        raise ValueError(f"{needed} clusters do not fit into {layout.clusters}")
    image = bytearray(layout.sectors * sector)
    image[:512] = layout.boot_sector(label, serial)
    chains: list[int] = [0xFF8, _END]
    root = bytearray(struct.pack("<11sB20x", label.encode().ljust(11), _LABEL_ENTRY))
    for number, (name, data) in enumerate(files.items(), 1):
        first = len(chains) if data else 0
        length = _clusters_of(data)
        chains += [*range(first + 1, first + length), _END] if length else []
        root += _entries(name, number, first, len(data))
        at = layout.data_at + (first - 2) * _CLUSTER
        image[at : at + len(data)] = data
    table = _packed(chains)
    for copy in range(2):
        at = (1 + copy * layout.table_sectors) * sector
        image[at : at + len(table)] = table
    at = layout.root_at
    image[at : at + len(root)] = root
    return bytes(image)


class _Layout:
    def __init__(self, size: int, sector: int) -> None:
        self.sector = sector
        self.sectors = min(size, LARGEST) // sector
        self.table_sectors = -(-(LARGEST // _CLUSTER * 3 // 2 + 3) // sector)
        self.root_at = (1 + 2 * self.table_sectors) * sector
        self.data_at = self.root_at + _ROOT_ENTRIES * _ENTRY
        self.clusters = max(0, (self.sectors * sector - self.data_at) // _CLUSTER)

    def boot_sector(self, label: str, serial: int) -> bytes:
        blocks = struct.pack(
            "<3s8sHBHBHHBHHHII",
            b"\xeb\x3c\x90",
            b"bty     ",
            self.sector,
            _CLUSTER // self.sector,
            1,  # reserved sectors: this one
            2,  # tables
            _ROOT_ENTRIES,
            self.sectors if self.sectors < 1 << 16 else 0,
            0xF8,  # a fixed disk
            self.table_sectors,
            63,
            255,
            0,
            0 if self.sectors < 1 << 16 else self.sectors,
        )
        words = (0x80, 0, 0x29, serial, label.encode().ljust(11), b"FAT12   ")
        extended = struct.pack("<BBBI11s8s", *words)
        return (blocks + extended).ljust(510, b"\0") + b"\x55\xaa"


def _clusters_of(data: bytes) -> int:
    return -(-len(data) // _CLUSTER)


def _packed(chains: list[int]) -> bytes:
    """Return numbers of twelve bits, two in three bytes."""
    packed = bytearray()
    for at in range(0, len(chains), 2):
        low, high = (*chains[at : at + 2], 0)[:2]
        packed += (low | high << 12).to_bytes(3, "little")
    return bytes(packed)


def _entries(name: str, number: int, first: int, size: int) -> bytes:
    """Return the entries of one file: its long name, last part first, and the short one that stands for it."""
    short = f"SEED~{number}".ljust(11).encode()
    total = 0
    for byte in short:
        total = ((total >> 1) | (total & 1) << 7) + byte & 0xFF
    parts = [name[at : at + _LONG_PART] for at in range(0, len(name), _LONG_PART)]
    found = bytearray()
    for order, part in reversed(list(enumerate(parts, 1))):
        last = 0x40 if order == len(parts) else 0
        text = part.encode("utf-16-le")
        if len(part) < _LONG_PART:
            text = (text + b"\0\0").ljust(2 * _LONG_PART, b"\xff")
        words = (order | last, text[:10], _LONG_NAME, 0, total, text[10:22], 0, text[22:26])
        found += struct.pack("<B10sBBB12sH4s", *words)
    dates = (0, 0, 0, _DATE, _DATE, 0, 0, _DATE)
    return bytes(found) + struct.pack("<11sBBBHHHHHHHI", short, 0x20, *dates, first, size)
