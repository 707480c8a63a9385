"""Writing a small file so that a reader, or the next start after a power cut, sees the old one or the new one."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from bty_core.errors import WriteFailed


def write_durably(path: Path, content: bytes) -> None:
    """Put `content` at `path`, readable by everybody; raise `WriteFailed` and leave the old file otherwise."""
    try:
        put(path, content)
    except OSError as error:
        raise unwritable(path, error) from None


def put(path: Path, content: bytes) -> None:
    """Do what `write_durably` does, and raise the `OSError` for those who say more of it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            settle(file.fileno())
        fresh.replace(path)
        sync_folder(path.parent)
    finally:
        with suppress(OSError):
            fresh.unlink()


def settle(handle: int) -> None:
    """Make an open file readable by everybody and have it on the disk."""
    # mkstemp makes files that only their owner may read; dnsmasq runs as somebody else.
    os.fchmod(handle, 0o644)
    os.fsync(handle)


def sync_folder(folder: Path) -> None:
    """Have the names in `folder` on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unwritable(path: Path, error: OSError) -> WriteFailed:
    """Return the failure that tells why `path` cannot be written."""
    return WriteFailed(
        f"{path} cannot be written: {(error.strerror or str(error)).lower()}",
        hint=f"give the user that runs bty-web a folder {path.parent} that it may write to",
    )
