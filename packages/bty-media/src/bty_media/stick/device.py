"""A stick as block devices: also one that is a regular file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bty_core.disks.model import Disk, Kind
from bty_core.errors import CommandFailed, ProgramMissing
from bty_core.proc import find, run

_TIMEOUT = 120.0
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
        # The kernel does not find partitions that it was told of one by one when the device goes.
        for known in Path("/sys/class/block").glob(f"{loop.name}p*"):
            with suppress(CommandFailed):
                number = known.name.rpartition("p")[2]
                run(["delpart", loop, number], timeout=_TIMEOUT)
        run(["losetup", "--detach", loop], timeout=_TIMEOUT)


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
