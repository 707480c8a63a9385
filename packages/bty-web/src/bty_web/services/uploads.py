"""Bytes that become an image: streamed into the image root, checked, and there at once or not at all."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Protocol

from bty_core.errors import BtyError, DigestMismatch, ImageCorrupt
from bty_core.values import MIB, Digest, size_text
from bty_web.errors import Conflict, NoRoom
from bty_web.services import catalog
from bty_web.settings import Settings

CHUNK = 1 * MIB
_PARTIAL = re.compile(r"\.(?P<name>.+)\.part-(?P<pid>\d+)-[0-9a-f]{8}")
_YOUNG = 60.0  # seconds in which a partial file may be not locked yet
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LOOK_EVERY = 64 * MIB  # bytes between two looks at the free space


class Readable(Protocol):
    """Something that gives bytes, at most `size` of them, and none only at its end."""

    def read(self, size: int, /) -> bytes: ...


def free_bytes(settings: Settings) -> int:
    """Return how much room there is for images, what is to stay free taken off."""
    found = shutil.disk_usage(settings.image_root).free
    return max(0, found - settings.upload_reserve_mib * MIB)


def target_of(settings: Settings, name: str, *, replace: bool) -> Path:
    """Return where an image called `name` goes; raise `InvalidField`, or `Conflict` where the name is taken."""
    target = settings.image_root / catalog.safe_name(name)
    if not replace and os.path.lexists(target):
        raise _taken(name)
    return target


def receive(
    settings: Settings,
    name: str,
    stream: Readable,
    *,
    length: int | None,
    sha256: str | None = None,
    replace: bool = False,
    replacing: Callable[[], AbstractContextManager[object]] = nullcontext,
    progress: Callable[[int], None] = lambda _: None,
) -> Path:
    """Take an image from `stream` into the catalog under `name`; return its path.

    `length` is what was promised, in bytes. An image is replaced within `replacing`, where there is
    one of this name; what that raises leaves it. Nothing is left when it breaks off, is shorter or
    longer, has another digest, or finds no room. Raises `InvalidField`, `Conflict` where the name is
    taken, `NoRoom`, `ImageCorrupt`, `DigestMismatch`, and whatever reading raises.
    """
    target = target_of(settings, name, replace=replace)
    wanted = Digest.parse(sha256).hex if sha256 else None
    _room(settings, name, length or 0)
    short = name.encode()[:200].decode(errors="ignore")  # bytes: what file systems count
    partial = target.with_name(f".{short}.part-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with partial.open("xb") as file:
            with suppress(OSError):  # without locks, its age alone says that nobody writes it
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            digest, size = _copied(settings, name, stream, file.fileno(), length, progress)
            os.fsync(file.fileno())
        if length is not None and size != length:
            raise ImageCorrupt(
                f"{name} was cut short: {size} bytes of {length} came", hint="send it again"
            )
        if not size:
            raise ImageCorrupt(f"{name} is empty", hint="choose another file")
        if wanted is not None and digest != wanted:
            raise DigestMismatch(
                f"{name} has another digest than it should: {digest} instead of {wanted}",
                hint="fetch it again from where it came from",
            )
        with replacing() if replace and os.path.lexists(target) else nullcontext():
            _place(partial, target, name, replace=replace)
    except OSError as error:
        raise _no_room(name) if error.errno in FULL else _unwritable(name, error) from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def _copied(
    settings: Settings,
    name: str,
    stream: Readable,
    handle: int,
    length: int | None,
    progress: Callable[[int], None],
) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    look_at = _LOOK_EVERY
    while data := stream.read(CHUNK):
        size += len(data)
        if length is not None and size > length:
            raise ImageCorrupt(f"{name} is longer than the {length} bytes that were promised")
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        digest.update(data)
        if size >= look_at:
            _room(settings, name, 0)
            look_at = size + _LOOK_EVERY
        progress(size)
    return digest.hexdigest(), size


def _place(partial: Path, target: Path, name: str, *, replace: bool) -> None:
    if replace:
        partial.replace(target)
    else:
        try:
            os.link(partial, target)  # unlike a rename, it never replaces
        except FileExistsError:
            raise _taken(name) from None
        except OSError:  # a file system without links
            if os.path.lexists(target):
                raise _taken(name) from None
            partial.replace(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _room(settings: Settings, name: str, wanted: int) -> None:
    free = free_bytes(settings)
    if wanted > free or not free:
        raise NoRoom(
            f"there is no room for {name}: it needs {size_text(wanted)}, {size_text(free)} are free",
            hint=f"delete images; {settings.upload_reserve_mib} MiB are kept free (upload_reserve_mib)",
        )


def _no_room(name: str) -> NoRoom:
    return NoRoom(f"the disk became full while {name} came", hint="delete images and send it again")


def _taken(name: str) -> Conflict:
    return Conflict(f"there is an image '{name}' already", hint="delete it first, or replace it")


def _unwritable(name: str, error: OSError) -> BtyError:
    return BtyError(
        f"{name} cannot be written to the image root: {(error.strerror or str(error)).lower()}",
        hint="look at the folder's owner and at the disk; bty-web check says what it is",
    )


def sweep(root: Path) -> list[str]:
    """Remove the partial files of processes that were killed, on whatever host: nobody holds their lock."""
    removed = []
    for path in root.glob(".*.part-*"):
        found = _PARTIAL.fullmatch(path.name)
        if found is None:
            continue
        with suppress(OSError):
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() - os.fstat(handle).st_mtime > _YOUNG:
                    path.unlink()
                    removed.append(found["name"])
            finally:
                os.close(handle)
    return removed
