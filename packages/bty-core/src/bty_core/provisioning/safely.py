"""Reading and writing below the root of a filesystem that nobody vouches for.

Its links may lead anywhere. Here they lead where they would lead on the machine itself: the root is that of the
filesystem, and there is no way out of it.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bty_core.provisioning.errors import UnsafePath
from bty_core.provisioning.kernel import open_below

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_LABEL = "security.selinux"


class Tree:
    """A mounted filesystem; paths are relative to its root, without a slash in front."""

    def __init__(self, root: int) -> None:
        """`root` is an open folder, and stays open."""
        self._root = root

    def has_folder(self, path: str) -> bool:
        """Whether `path`, links followed, is a folder."""
        with suppress(OSError):
            os.close(open_below(self._root, path, _FOLDER))
            return True
        return False

    def has_file(self, path: str) -> bool:
        """Whether `path`, links followed, is a regular file."""
        handle = self._open_file(path)
        if handle is not None:
            os.close(handle)
        return handle is not None

    def read(self, path: str, most: int) -> str | None:
        """Return the text of the regular file `path`, at most `most` bytes of it; None where there is none."""
        handle = self._open_file(path)
        if handle is None:
            return None
        with os.fdopen(handle, "rb") as file:
            return file.read(most).decode(errors="replace")

    def names(self, path: str) -> list[str]:
        """Return what is in the folder `path`, sorted; nothing where there is none."""
        try:
            handle = open_below(self._root, path, _FOLDER)
        except OSError:
            return []
        try:
            return sorted(os.listdir(handle))
        finally:
            os.close(handle)

    @contextmanager
    def folder(self, path: str) -> Iterator[Folder]:
        """Open the folder `path`, and make what is missing of it (mode 0755); raise `UnsafePath`."""
        handle = os.dup(self._root)
        try:
            parts = path.split("/")
            for number, name in enumerate(parts, 1):
                below = self._enter(handle, "/".join(parts[:number]), name)
                os.close(handle)
                handle = below
            yield Folder(handle, path)
        finally:
            os.close(handle)

    def _enter(self, parent: int, path: str, name: str) -> int:
        try:
            with suppress(FileNotFoundError):
                return open_below(self._root, path, _FOLDER)
            _make(parent, name, 0o755)
            return open_below(self._root, path, _FOLDER)
        except OSError as error:
            raise _unsafe(path, error) from error

    def _open_file(self, path: str) -> int | None:
        try:
            # A pipe must not keep bty waiting.
            handle = open_below(self._root, path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return None
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return handle
        os.close(handle)
        return None


class Folder:
    """An open folder: what happens in it follows no link."""

    def __init__(self, handle: int, path: str) -> None:
        """`path` is for messages."""
        self._handle, self._path = handle, path

    def has(self, name: str) -> bool:
        """Whether there is something of this name, be it a link that leads nowhere."""
        try:
            os.stat(name, dir_fd=self._handle, follow_symlinks=False)
        except OSError:
            return False
        return True

    def remove(self, name: str) -> bool:
        """Remove a file, a link (and not what it leads to), or a folder with all that is in it.

        Returns whether there was anything; raises `UnsafePath`.
        """
        try:
            found = os.stat(name, dir_fd=self._handle, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                shutil.rmtree(name, dir_fd=self._handle)
            else:
                os.unlink(name, dir_fd=self._handle)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _unsafe(f"{self._path}/{name}", error) from error
        return True

    @contextmanager
    def new_folder(self, name: str, mode: int) -> Iterator[Folder]:
        """Make a folder that is not there yet; raise `UnsafePath`."""
        path = f"{self._path}/{name}"
        try:
            _make(self._handle, name, mode)
            handle = os.open(name, _FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._handle)
        except OSError as error:
            raise _unsafe(path, error) from error
        try:
            yield Folder(handle, path)
            os.fsync(handle)
        finally:
            os.close(handle)

    def new_file(self, name: str, data: bytes, mode: int) -> None:
        """Make a file that is not there yet, and have it on the disk; raise `UnsafePath`."""
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(name, how, mode, dir_fd=self._handle), "wb") as file:
                file.write(data)
                os.fchmod(file.fileno(), mode)
                _label_like(self._handle, file.fileno())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _unsafe(f"{self._path}/{name}", error) from error


@contextmanager
def tree(point: Path) -> Iterator[Tree]:
    """Open the filesystem that is mounted at `point`."""
    handle = os.open(point, _FOLDER | os.O_CLOEXEC)
    try:
        yield Tree(handle)
    finally:
        os.close(handle)


def _make(parent: int, name: str, mode: int) -> None:
    os.mkdir(name, mode, dir_fd=parent)
    handle = os.open(name, _FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.fchmod(handle, mode)
        _label_like(parent, handle)
    finally:
        os.close(handle)


def _label_like(parent: int, new: int) -> None:
    """Give what is new the SELinux label of its folder, as the machine's own kernel would."""
    with suppress(OSError):
        os.setxattr(new, _LABEL, os.getxattr(parent, _LABEL))


def _unsafe(path: str, error: OSError) -> UnsafePath:
    why = {
        errno.EEXIST: "it is a link that leads nowhere, or there already",
        errno.ENOTDIR: "something on its way is no folder",
        errno.ELOOP: "its links lead in a circle",
        errno.EXDEV: "it leads onto another filesystem",
    }.get(error.errno or 0, error.strerror or str(error))
    return UnsafePath(f"/{path} on the disk cannot be written to: {why}")
