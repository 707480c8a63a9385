"""Disks in words: the same ones in tables, plans, questions and screens."""

from __future__ import annotations

from bty_core.disks.guard import objections
from bty_core.disks.model import Disk, Kind
from bty_core.program.console import plain
from bty_core.values import size_text

_LISTED = 4


def contents(disk: Disk) -> str:
    """Return what is on a disk now: ``gpt: vfat "ESP" 64 MB, ext4 "root" 20 GB``."""
    if disk.partitions:
        parts = [
            f"{_filesystem(part.filesystem, part.label)} {size_text(part.size)}"
            for part in disk.partitions[:_LISTED]
        ]
        more = len(disk.partitions) - _LISTED
        listed = ", ".join(parts) + (f" and {more} more" if more > 0 else "")
        return f"{disk.table or 'partitions'}: {listed}"
    if disk.filesystem:
        return _filesystem(disk.filesystem, disk.label)
    return (
        f"{disk.table}: no partitions"
        if disk.table
        else "no partition table and no filesystem found"
    )


def state(disk: Disk) -> str:
    """Return in a word or two whether a disk may be written."""
    if any(use.running_system for use in disk.uses):
        return "system"
    if disk.uses:
        return "in use"
    if disk.size == 0 and disk.kind is not Kind.FILE:
        return "no medium"
    if objections(disk):
        return "read-only" if disk.read_only else "no disk"
    return "by name" if disk.named_only else "free"


def reasons(disk: Disk) -> list[str]:
    """Return what the state does not say: what keeps a disk busy, and when it is chosen."""
    if disk.uses:
        listed = [
            use.what if use.device == disk.path else f"{use.what} ({use.device})"
            for use in disk.uses[:_LISTED]
        ]
        more = len(disk.uses) - _LISTED
        return [plain(", ".join(listed) + (f" and {more} more" if more > 0 else ""))]
    if not objections(disk) and disk.named_only:
        return ["only chosen when path, serial, wwn or by-path names it"]
    return []


def disk_facts(disk: Disk) -> str:
    """Return model, size, serial number and connection of a disk."""
    if disk.kind is Kind.FILE:
        return f"a regular file, {size_text(disk.size)} now"
    facts = [
        plain(disk.model) if disk.model else "no model name",
        f"{size_text(disk.size)} ({disk.size} bytes)",
        f"serial {plain(disk.serial)}" if disk.serial else "no serial number",
        str(disk.kind if disk.kind is not Kind.DISK else disk.transport),
    ]
    return ", ".join(facts)


def _filesystem(filesystem: str | None, label: str | None) -> str:
    name = plain(filesystem or "unknown")
    return f'{name} "{plain(label)}"' if label else name
