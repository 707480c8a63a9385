"""An image in a local file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bty_core.errors import ImageCorrupt, ImageRefused, ImageUnavailable
from bty_core.images.source import OnRetry
from bty_core.images.turn import Turn
from bty_core.values import MIB

_AT_ONCE = 8 * MIB  # one system call; a stop is noticed between two of them
_COPYING = "wait until nothing writes to it any more, then start again"


class FileSource:
    """A regular file on this machine. It must stay as it was when the source was made."""

    def __init__(self, path: Path) -> None:
        """Look at `path`.

        Raises `ImageUnavailable` where there is nothing and `ImageRefused` for other than a file.
        """
        self.path = path
        try:
            self._seen = path.stat()
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from error
        if not stat.S_ISREG(self._seen.st_mode):
            raise ImageRefused(
                f"{path} is {_kind(self._seen.st_mode)}, not an image file",
                hint="give the path of a regular file; a disk can be copied into one first",
            )

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def remote(self) -> bool:
        return False

    @property
    def size(self) -> int:
        return self._seen.st_size

    def __str__(self) -> str:
        return str(self.path)

    def same_file(self, path: Path) -> bool:
        """Whether the file at `path` is this one, perhaps under another name."""
        try:
            found = path.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (self._seen.st_dev, self._seen.st_ino)

    def read_at(self, offset: int, length: int) -> bytes:
        fd = self._descriptor()
        try:
            return os.pread(fd, max(0, min(length, self.size - offset)), offset)
        except OSError as error:
            raise _broken(self.path, offset, error) from error
        finally:
            os.close(fd)

    def beside(self, name: str) -> bytes | None:
        """Return the file `name` of the same folder, or None where there is none.

        One that is there and cannot be used is an error.
        """
        path = self.path.parent / name
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                return None
            with path.open("rb") as file:
                text = file.read(MIB + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(path, error) from error
        if len(text) > MIB:
            raise ImageRefused(
                f"{path} is larger than 1 MiB, too large for a text file beside an image"
            )
        return text

    def open(self, on_retry: OnRetry) -> FileStream:  # noqa: ARG002 - never tried again
        return FileStream(self.path, self._descriptor(), self._seen)

    def _descriptor(self) -> int:
        try:
            fd = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if _same(os.fstat(fd), self._seen):
            return fd
        os.close(fd)
        raise ImageUnavailable(f"{self.path} changed since it was looked at", hint=_COPYING)


class FileStream(Turn):
    """The bytes of a file, and the proof that it stayed the same while it was read."""

    def __init__(self, path: Path, fd: int, seen: os.stat_result) -> None:
        """Take over `fd`, opened for reading on `path`, which looked like `seen`."""
        super().__init__(str(path))
        self._path = path
        self._fd: int | None = fd
        self._seen = seen
        self._at = 0
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)

    @property
    def total_bytes(self) -> int:
        return self._seen.st_size

    def readinto(self, view: memoryview) -> int:
        got = 0
        while got < len(view):
            with self._turn():
                assert self._fd is not None
                count = self._read(self._fd, view[got : got + _AT_ONCE])
            if not count:
                break
            got += count
        return got

    def _read(self, fd: int, view: memoryview) -> int:
        left = self.total_bytes - self._at
        if not left:
            return 0
        try:
            count = os.preadv(fd, [view[:left]], self._at)
        except OSError as error:
            raise _broken(self._path, self._at, error) from error
        if not count:
            raise ImageCorrupt(
                f"{self._path} ended after {self._at} of {self.total_bytes} bytes: "
                "it was cut short while it was read",
                hint=_COPYING,
            )
        self._at += count
        if self._at == self.total_bytes:
            self._check_end(fd)
        return count

    def _check_end(self, fd: int) -> None:
        now = os.fstat(fd)
        if now.st_size != self.total_bytes:
            raise ImageCorrupt(
                f"{self._path} went from {self.total_bytes} to {now.st_size} bytes "
                "while it was read",
                hint=_COPYING,
            )
        if not _same(now, self._seen):
            raise ImageCorrupt(f"{self._path} was written to while it was read", hint=_COPYING)

    def _give_back(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns) == (
        other.st_dev,
        other.st_ino,
        other.st_size,
        other.st_mtime_ns,
    )


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFBLK: "a block device",
        stat.S_IFCHR: "a character device",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
    }
    return kinds.get(stat.S_IFMT(mode), "something special")


def _unreadable(path: Path, error: OSError | ValueError) -> ImageUnavailable:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return ImageUnavailable(f"there is no file {path}", hint="check the path")
    if isinstance(error, PermissionError):
        return ImageUnavailable(
            f"{path} may not be read by this user", hint="run as root, or change its permissions"
        )
    why = error.strerror if isinstance(error, OSError) else str(error)
    return ImageUnavailable(f"{path} cannot be opened: {why}")


def _broken(path: Path, offset: int, error: OSError) -> ImageUnavailable:
    return ImageUnavailable(
        f"{path} cannot be read at byte {offset}: {error.strerror}",
        hint="check the disk or stick that holds the file",
    )
