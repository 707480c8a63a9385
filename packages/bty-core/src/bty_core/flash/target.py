"""The one door to the disk: opened for bty alone, written past the page cache, and read back past it."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from bty_core.disks.model import Disk, Kind
from bty_core.errors import (
    DiskBusy,
    DiskChanged,
    DiskNotFound,
    DiskReadOnly,
    NeedsRoot,
    NotADisk,
    WriteFailed,
)
from bty_core.flash import kernel
from bty_core.values import MIB, size_text

_ZERO_BYTES = MIB
# A device that makes zeros slowly must not keep a Ctrl-C waiting.
_MAKE_ZERO_BYTES = 128 * MIB
# Where the page cache cannot be avoided, no more than this waits in it.
_CACHED_BYTES = 64 * MIB
_BUSY_SECONDS = 0.5
_CANNOT = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EREMOTEIO}
_GONE = {errno.ENXIO, errno.ENODEV, errno.ENOMEDIUM}


def aligned(size: int) -> mmap.mmap:
    """Return `size` bytes of zeroed memory that direct I/O accepts."""
    return mmap.mmap(-1, size)


class Target:
    """A disk, or a regular file that stands for one, held open for this flash and no other.

    `size` is in bytes, None for a file that grows with the image. Every failure of the device is a `WriteFailed` that
    names the offset.
    """

    def __init__(self, disk: Disk, *, write: bool = True) -> None:
        """Open `disk`; raise a `Refused` where it is busy, gone, read-only or no longer the disk of the plan."""
        self.disk = disk
        self.is_file = disk.kind is Kind.FILE
        self._zeros = aligned(_ZERO_BYTES)
        self._can_make_zero = True
        self._cached = 0
        self._direct = False
        self._fd = self._open(write)
        try:
            if self.is_file:
                self._hold_file(write)
                self.sector = 1
                self.size = None if write else os.fstat(self._fd).st_size
                self.old_size = os.fstat(self._fd).st_size
            else:
                self.sector = kernel.sector_size(self._fd)
                self.size = self.old_size = kernel.device_size(self._fd)
                self._check_identity(write)
        except BaseException:
            os.close(self._fd)
            raise

    def padded(self, length: int) -> int:
        """Return `length` in bytes, rounded up to whole sectors."""
        return -(-length // self.sector) * self.sector

    def write(self, view: memoryview, offset: int) -> None:
        """Write all of `view` at `offset`. A last part of a sector is filled up with zeros; the memory must be aligned
        and have room for that."""
        done = 0
        while done < len(view):
            try:
                done += os.pwritev(self._fd, [view[done:]], offset + done)
            except OSError as error:
                if not self._gave_up_direct(error):
                    raise self._failed("writing", offset + done, error) from None
        if not self._direct:
            self._cached += len(view)
            if self._cached >= _CACHED_BYTES:
                self.flush()

    def zero(self, offset: int, length: int) -> bool:
        """Make `length` bytes from `offset` zero; return whether the device did it without being written to."""
        made = True
        while length:
            step = min(length, _MAKE_ZERO_BYTES if self._can_make_zero else _ZERO_BYTES)
            if self._can_make_zero:
                try:
                    kernel.make_zero(self._fd, offset, step)
                except OSError as error:
                    if error.errno not in _CANNOT:
                        raise self._failed("zeroing", offset, error) from None
                    self._can_make_zero = False
                    continue
            else:
                made = False
                self.write(memoryview(self._zeros)[:step], offset)
            offset += step
            length -= step
        return made

    def read(self, view: memoryview, offset: int) -> int:
        """Fill `view` from `offset` on, past the page cache, and return how many bytes there were."""
        done = 0
        while done < len(view):
            try:
                got = os.preadv(self._fd, [view[done:]], offset + done)
            except OSError as error:
                if not self._gave_up_direct(error):
                    raise self._failed("reading back", offset + done, error) from None
                self.forget_cache()
                continue
            if not got:
                break
            done += got
        return done

    def grow(self, size: int) -> None:
        """Give a file at least `size` bytes; a disk has the size it has."""
        if self.is_file and os.fstat(self._fd).st_size < size:
            try:
                os.ftruncate(self._fd, size)
            except OSError as error:
                raise self._failed("growing", size, error) from None

    def flush(self) -> None:
        """Return when everything written is on the medium, the device's own cache included."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise self._failed("flushing", None, error) from None
        self._cached = 0

    def forget_cache(self) -> None:
        """Have later reads come from the device where it cannot be read directly."""
        if not self._direct:
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
            if not self.is_file:
                with suppress(OSError):
                    kernel.drop_cache(self._fd)

    def read_table_again(self) -> bool:
        """Have the kernel read the partition table; return False where it could not."""
        if self.is_file:
            return True
        for _ in range(20):
            try:
                kernel.read_partition_table_again(self._fd)
            except OSError as error:
                if error.errno != errno.EBUSY:
                    # Loop devices without partition support say EINVAL.
                    return error.errno == errno.EINVAL
                time.sleep(0.1)
            else:
                return True
        return False

    def close(self) -> None:
        """Let go of the disk."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self, write: bool) -> int:
        path = self.disk.path
        flags = (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC
        if self.is_file:
            flags |= os.O_CREAT if write else 0
        elif write:
            # On a block device, O_EXCL asks for it alone: mounts and careful programs are kept out.
            flags |= os.O_EXCL
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                return self._open_direct(path, flags)
            except OSError as error:
                # Whoever looks whether a disk is free claims it for a moment.
                if error.errno != errno.EBUSY or time.monotonic() > deadline:
                    raise self._cannot_open(error) from None
                time.sleep(0.05)

    def _open_direct(self, path: Path, flags: int) -> int:
        if not self.is_file:
            try:
                fd = os.open(path, flags | os.O_DIRECT)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
            else:
                self._direct = True
                return fd
        return os.open(path, flags, 0o644)

    def _cannot_open(self, error: OSError) -> Exception:
        path = self.disk.path
        match error.errno:
            case errno.EBUSY:
                return DiskBusy(
                    f"{path} is in use by another program",
                    hint="unmount it, or wait for the other flash to end",
                )
            case errno.EACCES | errno.EPERM if not self.is_file:
                return NeedsRoot(
                    f"{path} cannot be opened: {error.strerror}",
                    hint="run bty as root, or with sudo",
                )
            case errno.EROFS | errno.EACCES | errno.EPERM:
                return DiskReadOnly(f"{path} cannot be written: {error.strerror}")
            case errno.ENOENT:
                return DiskNotFound(f"{path} is gone", hint="list the disks again with: bty disks")
            case code if code in _GONE:
                return DiskChanged(
                    f"{path} is gone or has no medium", hint="list the disks again with: bty disks"
                )
            case _:
                return WriteFailed(f"{path} cannot be opened: {error.strerror}")

    def _hold_file(self, write: bool) -> None:
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            raise NotADisk(f"{self.disk.path} is not a regular file")
        if write:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DiskBusy(
                    f"{self.disk.path} is in use by another program",
                    hint="wait for the other flash to end",
                ) from None

    def _check_identity(self, write: bool) -> None:
        facts = os.fstat(self._fd)
        planned = self.disk
        device = (os.major(facts.st_rdev), os.minor(facts.st_rdev))
        hint = "make the plan again"
        if not stat.S_ISBLK(facts.st_mode) or device != planned.device:
            raise DiskChanged(
                f"{planned.path} is another device than when the plan was made", hint=hint
            )
        if planned.diskseq is not None and kernel.disk_sequence(self._fd) != planned.diskseq:
            raise DiskChanged(
                f"the disk at {planned.path} was replaced after the plan was made", hint=hint
            )
        if self.size != planned.size:
            raise DiskChanged(
                f"{planned.path} has {size_text(self.size or 0)} now and had {size_text(planned.size)}"
                " when the plan was made",
                hint=hint,
            )
        if write and kernel.is_read_only(self._fd):
            raise DiskReadOnly(
                f"{planned.path} is read-only", hint="look for a write-protect switch"
            )
        if write:
            # What udev and other tools that follow systemd's locking rule respect.
            with suppress(OSError):
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _gave_up_direct(self, error: OSError) -> bool:
        """Some devices take O_DIRECT at open and refuse it later; go on through the page cache then."""
        if error.errno != errno.EINVAL or not self._direct:
            return False
        fcntl.fcntl(self._fd, fcntl.F_SETFL, fcntl.fcntl(self._fd, fcntl.F_GETFL) & ~os.O_DIRECT)
        self._direct = False
        return True

    def _failed(self, doing: str, offset: int | None, error: OSError) -> WriteFailed:
        where = "" if offset is None else f" at byte {offset}"
        if error.errno in _GONE:
            why, hint = "the disk is gone", "check its cable and power, then flash it again"
        elif error.errno in (errno.ENOSPC, errno.EDQUOT):
            why, hint = "no space left", "make room where it is stored, then flash it again"
        elif self.disk.kind is Kind.FILE:
            why, hint = error.strerror or str(error), "check the disk and the limits of the folder"
        else:
            why, hint = (
                error.strerror or str(error),
                "the disk may be failing: look at the kernel log and its SMART data",
            )
        return WriteFailed(f"{doing} {self.disk.path}{where} failed: {why}", hint=hint)
