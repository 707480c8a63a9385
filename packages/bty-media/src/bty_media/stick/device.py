"""A stick as block devices: also one that is a regular file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bty_core.disks.model import Disk, Kind
from bty_core.errors import ProgramMissing
from bty_core.flash.kernel import forget_partition
from bty_core.proc import find, run

_TIMEOUT = 120.0
_PATIENCE = 5.0  # seconds
_OPTIONS = "noatime,nodev,nosuid,noexec"


@contextmanager
def as_device(disk: Disk) -> Iterator[Path]:
    """Yield the block device of a stick, which for a regular file is a loop device that goes at the end."""
    if disk.kind is not Kind.FILE:
        yield disk.path
        return
    loop = Path(run(["losetup", "--find", "--show", disk.path], timeout=_TIMEOUT).strip())
    try:
        yield loop
    finally:
        _forget_partitions(loop)
        run(["losetup", "--detach", loop], timeout=_TIMEOUT)


def _forget_partitions(loop: Path) -> None:
    """Take back what the kernel was told of: partitions told one by one do not go with the device."""
    handle = os.open(loop, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for known in Path("/sys/class/block").glob(f"{loop.name}p*"):
            _forget(handle, int(known.name.rpartition("p")[2]))
    finally:
        os.close(handle)


def _forget(handle: int, number: int) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return forget_partition(handle, number)
        except OSError:
            # A filesystem in user space lets go of its device a moment after it was unmounted.
            if time.monotonic() > until:
                return None
        time.sleep(0.05)


def insist_on_exfat() -> None:
    """Raise `ProgramMissing` where this machine cannot mount exFAT."""
    if not _kernel_has_exfat():
        try:
            find("mount.exfat-fuse")
        except ProgramMissing as error:
            raise ProgramMissing(
                "this machine cannot mount exFAT, as the partition for images is", hint=error.hint
            ) from error


@contextmanager
def mounted(partition: Path, folder: Path, *, read_only: bool = False) -> Iterator[None]:
    """Have the exFAT on `partition` on `folder`; everything is on the medium when the block is left."""
    words = ["-o", f"{_OPTIONS},{'ro' if read_only else 'rw'}", str(partition), str(folder)]
    kernel = ["mount", "-t", "exfat"] if _kernel_has_exfat() else ["mount.exfat-fuse"]
    run([*kernel, *words], timeout=_TIMEOUT)
    try:
        yield
    finally:
        run(["umount", folder], timeout=_TIMEOUT)
        if not read_only:
            _flush(partition)


def _flush(partition: Path) -> None:
    """Return when what a filesystem in user space has written is on the medium too."""
    handle = os.open(partition, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _kernel_has_exfat() -> bool:
    if "exfat" in Path("/proc/filesystems").read_text().split():
        return True
    modules = Path("/lib/modules", os.uname().release)
    return any((modules / "kernel/fs/exfat").glob("exfat.ko*"))
