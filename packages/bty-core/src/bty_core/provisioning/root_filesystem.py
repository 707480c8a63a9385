"""The root filesystem on a disk: which volume it is, and how it is mounted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bty_core.images.table import ImageTable
from bty_core.provisioning.devices import device_of
from bty_core.provisioning.kernel import NO_DEV, NO_SUID, READ_ONLY
from bty_core.provisioning.namespace import mounted
from bty_core.provisioning.partitions import Volume
from bty_core.provisioning.safely import Tree, tree

_DRIVERS = {"ext2": "ext4", "ext3": "ext4", "ext4": "ext4", "xfs": "xfs", "btrfs": "btrfs"}
# What the installers of distributions call the subvolume that the root is, where it is not the default one.
_SUBVOLUMES = (None, "@", "root", "@root", "@rootfs", "rootfs")
_CLOSED = {
    "crypto_LUKS": "is encrypted (LUKS)",
    "LVM2_member": "belongs to LVM",
    "linux_raid_member": "belongs to a RAID",
    "ntfs": "is NTFS",
    "BitLocker": "is encrypted (BitLocker)",
    "zfs_member": "belongs to ZFS",
}

# Partitions that hold no root filesystem which bty mounts: EFI, BIOS boot, LVM, RAID, swap, LUKS, dm-crypt,
# Microsoft's reserved and recovery ones.
_NO_ROOT = frozenset(
    {
        "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
        "21686148-6449-6e6f-744e-656564454649",
        "e6d6d379-f507-44c2-a23c-238f2a3df928",
        "a19d880f-05fc-4d3b-a006-743f0f84911e",
        "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f",
        "ca7d7ccb-63ed-4c53-861c-1742536059cc",
        "7ffec5c9-2d00-49b7-8941-3ea10a5586b7",
        "e3c9e316-0b5c-4db8-817d-f92df00215ae",
        "de94bba4-06d1-4d40-a16a-bfd50179d6ac",
        *(f"0x{kind:02x}" for kind in (0x01, 0x04, 0x06, 0x07, 0x0B, 0x0C, 0x0E, 0x27)),
        *(f"0x{kind:02x}" for kind in (0x82, 0x8E, 0xEE, 0xEF, 0xFD)),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A root filesystem."""

    volume: Volume
    subvolume: str | None  # of btrfs; None: the default one
    sector: int  # bytes, of the disk

    def __str__(self) -> str:
        inside = f", subvolume {self.subvolume}" if self.subvolume else ""
        return f"{self.volume} ({self.volume.filesystem}{inside})"

    @contextmanager
    def opened(self, *, writable: bool = False) -> Iterator[tuple[Path, Tree]]:
        """Mount it in the mounts of this thread, and unmount it; raise `OSError` where that cannot be.

        Device nodes in it mean nothing: one of them may be a disk of this machine.
        """
        driver = _DRIVERS[self.volume.filesystem or ""]
        flags = NO_DEV | NO_SUID | (0 if writable else READ_ONLY)
        options = []
        if driver == "xfs":
            options.append("nouuid")  # the running system may be of the same image
        if self.subvolume is not None:
            options.append(f"subvol={self.subvolume}")
        # Also to look at it a device that can be written: a journal may have to be replayed.
        with (
            device_of(self.volume, sector=self.sector, read_only=False) as device,
            mounted(device, driver, flags, ",".join(options)) as point,
            tree(point) as found,
        ):
            yield point, found


@dataclass(frozen=True, slots=True)
class Search:
    """What was found, and why the rest was not."""

    roots: tuple[Root, ...]
    passed_over: tuple[str, ...]  # "/dev/sda3 is encrypted (LUKS)"

    @property
    def why_none(self) -> str:
        """Return why no root was found, as the end of a sentence."""
        return "; ".join(self.passed_over) or "there is no filesystem on it that bty mounts"


def may_have_root(table: ImageTable) -> bool:
    """Whether a partition of an image may hold a root filesystem, as far as its type says."""
    return any(part.type not in _NO_ROOT for part in table.partitions)


def find_roots(
    found: Sequence[Volume], sector: int, fits: Callable[[Tree], bool], what: str
) -> Search:
    """Return each volume whose filesystem `fits`, in the order of their numbers. Needs mounts of its own.

    `what` says what the others lack, as in "has no /etc/cloud".
    """
    roots: list[Root] = []
    passed: list[str] = []
    for volume in found:
        if volume.filesystem in _CLOSED:
            passed.append(f"{volume} {_CLOSED[volume.filesystem]}")
        if volume.filesystem not in _DRIVERS:
            continue
        if volume.filesystem == "btrfs" and Path("/sys/fs/btrfs", volume.uuid or "-").exists():
            # The kernel would take the two for one filesystem.
            passed.append(f"{volume} has the UUID of a btrfs that this machine has mounted")
            continue
        root, why = _look(volume, sector, fits)
        if root is not None:
            roots.append(root)
        else:
            passed.append(f"{volume} {why or what}")
    return Search(tuple(roots), tuple(passed))


def _look(
    volume: Volume, sector: int, fits: Callable[[Tree], bool]
) -> tuple[Root | None, str | None]:
    why: str | None = None
    for subvolume in _SUBVOLUMES if volume.filesystem == "btrfs" else (None,):
        root = Root(volume=volume, subvolume=subvolume, sector=sector)
        try:
            with root.opened() as (_, inside):
                if fits(inside):
                    return root, None
        except OSError as error:
            if subvolume is None:
                said = os.strerror(error.errno) if error.errno else str(error)
                why = f"({volume.filesystem}) cannot be mounted: {said}"
    return None, why
