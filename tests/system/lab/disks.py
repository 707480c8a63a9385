"""Disks of machines: raw files, looked at from outside."""

from __future__ import annotations

from pathlib import Path

MIB = 1 << 20


def blank(path: Path, size: int = 128 * MIB) -> Path:
    """Return an empty disk."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def holds(disk: Path, image: Path) -> bool:
    """Whether the disk begins with the bytes of `image`."""
    with disk.open("rb") as there, image.open("rb") as wanted:
        while data := wanted.read(MIB):
            if there.read(len(data)) != data:
                return False
    return True


def boots(disk: Path) -> bool:
    """Whether a firmware would find anything to start: a boot sector, or a partition table."""
    with disk.open("rb") as file:
        head = file.read(1024)
    return head[510:512] == b"\x55\xaa" or head[512:520] == b"EFI PART"
