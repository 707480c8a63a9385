"""Files that anybody may fetch: regular ones below a folder, opened without following any link."""

from __future__ import annotations

import errno
import io
import logging
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bty_web.errors import NotFound
from bty_web.services import catalog

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_log = logging.getLogger(__name__)


class ServedFile(io.FileIO):
    """An open file, a part of which is sent. What is sent is what was opened, whatever has its name by then."""

    def __init__(self, handle: int, title: str) -> None:
        """Take the descriptor of a regular file; `title` is what a log calls it."""
        super().__init__(handle, "rb")
        self.title = title
        self.state = os.fstat(handle)
        self.end = 0  # where the part ends that was promised

    @property
    def stamp(self) -> str:
        """What tells this file from another one of its name."""
        return catalog.stamp(self.state)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes of the part; none behind its end."""
        left = max(0, self.end - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left)) or b""

    def close(self) -> None:
        """Close it. A file that has become shorter than was promised breaks the connection off.

        Otherwise a client would wait for the rest until it gives up.
        """
        if self.closed:
            return
        shrunk = os.fstat(self.fileno()).st_size < self.end
        super().close()
        if shrunk:
            _log.warning("%s became shorter while it was sent; the download is cut off", self.title)
            # As if the client had gone: of all failures, gunicorn logs no traceback of this one.
            raise ConnectionResetError(
                errno.ECONNRESET, "the file became shorter while it was sent"
            )


def open_below(root: Path, parts: Sequence[str]) -> ServedFile:
    """Open the file at `parts` below `root`; raise `NotFound` for what is none, hidden, or behind a link."""
    if not parts or not all(_plain(part) for part in parts):
        raise _none(parts)
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts[:-1]:
                below = os.open(part, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = below
            handle = os.open(parts[-1], _FILE, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError:
        raise _none(parts) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        with suppress(OSError):
            os.close(handle)
        raise _none(parts)
    return ServedFile(handle, "/".join(parts))


def _plain(part: str) -> bool:
    return bool(part) and not part.startswith(".") and "/" not in part and part.isprintable()


def _none(parts: Sequence[str]) -> NotFound:
    return NotFound(f"there is no file '{'/'.join(parts)[:255]}'")
