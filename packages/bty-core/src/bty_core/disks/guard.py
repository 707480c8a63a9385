"""Why a disk must not be written."""

from __future__ import annotations

from bty_core.disks.model import Disk, Kind, Use
from bty_core.errors import (
    DiskBusy,
    DiskIsRunningSystem,
    DiskReadOnly,
    DiskTooSmall,
    NotADisk,
    Refused,
)

_OTHER_DISK = "choose another disk; bty disks lists them"


def objections(disk: Disk) -> list[Refused]:
    """Return every reason why `disk` must not be written, whatever the image. Reads nothing."""
    return [*_of_kind(disk), *_of_uses(disk), *_of_access(disk)]


def _of_kind(disk: Disk) -> list[Refused]:
    if disk.kind is Kind.PARTITION:
        return [NotADisk(f"{disk.path} is a partition, not a whole disk", hint=_OTHER_DISK)]
    if disk.kind is Kind.ROM:
        return [NotADisk(f"{disk.title} is an optical drive", hint=_OTHER_DISK)]
    if disk.kind is Kind.STACKED:
        return [
            NotADisk(
                f"{disk.path} is made of other devices and is not a disk of its own",
                hint="take that stack down and choose the disk below it",
            )
        ]
    return []


def _of_uses(disk: Disk) -> list[Refused]:
    system = [use for use in disk.uses if use.running_system]
    others = [use for use in disk.uses if not use.running_system]
    found: list[Refused] = []
    if system:
        found.append(
            DiskIsRunningSystem(
                f"{disk.title} carries the running system or the live medium: "
                f"{_listed(disk, system)}",
                hint="choose another disk, or start the machine from another medium",
            )
        )
    if others:
        found.append(
            DiskBusy(f"{disk.title} is in use: {_listed(disk, others)}", hint=_release(others))
        )
    return found


def _of_access(disk: Disk) -> list[Refused]:
    found: list[Refused] = []
    if disk.read_only:
        found.append(
            DiskReadOnly(
                f"{disk.title} is read-only",
                hint=f"look for a write-protect switch, or try: blockdev --setrw {disk.path}",
            )
            if disk.kind is not Kind.FILE
            else DiskReadOnly(
                f"{disk.path} is read-only", hint=f"make it writable: chmod u+w {disk.path}"
            )
        )
    if disk.size == 0 and disk.kind is not Kind.FILE:
        found.append(
            DiskTooSmall(
                f"{disk.title} has a size of 0 bytes",
                hint="put a medium in, or choose another disk",
            )
        )
    return found


def _listed(disk: Disk, uses: list[Use]) -> str:
    return ", ".join(
        use.what if use.device == disk.path else f"{use.what} ({use.device})" for use in uses
    )


def _release(uses: list[Use]) -> str:
    words = [use.what for use in uses]
    if all(word == "claimed by another program" for word in words):
        return "end the program or the filesystem that holds it (ZFS, btrfs or another flasher)"
    steps = [
        "unmount it" if any(word.startswith("mounted") for word in words) else "",
        "swap it off" if "swap" in words else "",
        "take down what is stacked on it"
        if any(not word.startswith(("mounted", "swap")) for word in words)
        else "",
    ]
    return ", ".join(filter(None, steps)) + ", then try again"
