"""Putting a live environment in place: there at once or not at all, and gone when nobody boots it any more."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bty_core.errors import BtyError, ImageCorrupt
from bty_core.values import MIB, size_text
from bty_core.wire.fields import InvalidField
from bty_web.dhcp.durable import sync_folder, write_durably
from bty_web.errors import BrokenSetting, Conflict, NoRoom, NotFound
from bty_web.services import live_check
from bty_web.services.live import MANIFEST, Manifest, active
from bty_web.services.live_tar import unpack
from bty_web.services.uploads import FULL, Readable
from bty_web.settings import Settings

KEPT = 3  # earlier versions, beside the active one
KEPT_SECONDS = 2 * 86400.0  # machines that are booting may still fetch from a version
_PARTIAL = ".live-"
_YOUNG = 60.0  # seconds in which a partial folder may be not locked yet
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def install_tar(settings: Settings, stream: Readable, length: int | None) -> Manifest:
    """Take a whole live environment from a tar and let machines get it; return its manifest.

    `length` is that of the tar in bytes, where it is known. What is there already stays as it is when
    anything is wrong; the same version again mends files that were damaged meanwhile. Raises
    `InvalidField` for a manifest that is none, `ImageCorrupt` for a file that is not what the
    manifest says, `Conflict` for another content under a known version, `NoRoom`.
    """
    root = settings.boot_dir
    try:
        root.mkdir(parents=True, exist_ok=True)
        _room(settings, length or 0)
        with _partial(root) as partial:
            manifest = unpack(stream, partial, lambda wanted: _room(settings, wanted))
            write_durably(partial / MANIFEST, _text(manifest))
            _leave(root)
            _place(root, partial, manifest)
        _switch(root, manifest)
    except ConnectionError as error:
        raise ImageCorrupt(
            "the live environment was cut short: the connection broke off", hint="send it again"
        ) from error
    except OSError as error:
        if error.errno in FULL:
            raise NoRoom(
                "the disk became full while the live environment came",
                hint="delete images, or earlier versions of the live environment",
            ) from error
        raise BtyError(
            f"the live environment cannot be written: {(error.strerror or str(error)).lower()}",
            hint=f"look at the owner of {root} and at the disk; bty-web check says what it is",
        ) from error
    _retire(root)
    return manifest


def activate(root: Path, version: str) -> Manifest:
    """Let machines get a version that is there; raise `NotFound`."""
    known = {one.version: one for one in versions(root)}
    manifest = known.get(version)
    if manifest is None:
        raise NotFound(f"there is no live environment '{version[:80]}'")
    _leave(root)
    _switch(root, manifest)
    return manifest


def versions(root: Path) -> list[Manifest]:
    """Return the live environments that are there, the newest first; broken ones are left out."""
    found: list[tuple[float, Manifest]] = []
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.name.startswith(".") or folder.is_symlink() or not folder.is_dir():
            continue
        try:
            manifest = Manifest.from_wire(json.loads((folder / MANIFEST).read_text("utf-8")))
            if manifest.version == folder.name:
                found.append((folder.stat().st_mtime, manifest))
        except (OSError, ValueError, RecursionError, InvalidField):
            continue
    return [manifest for _, manifest in sorted(found, key=lambda one: one[0], reverse=True)]


def sweep(root: Path) -> None:
    """Remove what processes that were killed left half-way, on whatever host: nobody holds its lock."""
    for folder in root.glob(f"{_PARTIAL}*"):
        with suppress(OSError):
            handle = os.open(folder, _OPEN_FOLDER)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() - os.fstat(handle).st_mtime > _YOUNG:
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)
    for file in root.glob(f".{MANIFEST}.*"):  # written in no time, unless the power was cut
        with suppress(OSError):
            if time.time() - file.lstat().st_mtime > _YOUNG:
                file.unlink()


@contextmanager
def _partial(root: Path) -> Iterator[Path]:
    """A locked folder for what is not whole yet; removed at the end, unless it has its own name by then."""
    folder = root / f"{_PARTIAL}{secrets.token_hex(8)}"
    folder.mkdir(mode=0o755)
    try:
        handle = os.open(folder, _OPEN_FOLDER)
        try:
            with suppress(OSError):  # without locks, nothing is ever swept
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield folder
        finally:
            os.close(handle)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _room(settings: Settings, wanted: int) -> None:
    found = shutil.disk_usage(settings.boot_dir).free
    free = max(0, found - settings.upload_reserve_mib * MIB)
    if wanted > free or not free:
        raise NoRoom(
            f"there is no room for the live environment: {size_text(wanted)}, {size_text(free)} are free",
            hint="delete images, or earlier versions of the live environment",
        )


def _place(root: Path, partial: Path, manifest: Manifest) -> None:
    target = root / manifest.version
    try:
        partial.rename(target)  # never onto a folder with something in it
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        there = next((one for one in versions(root) if one.version == manifest.version), None)
        if there is None or there.wire() != manifest.wire():
            raise Conflict(
                f"there is another live environment {manifest.version} already",
                hint="give what was built anew a version of its own",
            ) from None
        for one in live_check.check(root, manifest):
            if one.fault:
                (partial / one.file.name).replace(target / one.file.name)
        sync_folder(target)
    sync_folder(root)


def _switch(root: Path, manifest: Manifest) -> None:
    write_durably(root / MANIFEST, _text(manifest))


def _text(manifest: Manifest) -> bytes:
    return json.dumps(manifest.wire(), indent=1).encode()


def _leave(root: Path) -> None:
    """Note on the active version that machines have been given it until now.

    One that was put there by hand gets its manifest, or nobody could come back to it.
    """
    with suppress(BrokenSetting, OSError):
        current = active(root)
        if current is not None and (root / current.version).is_dir():
            path = root / current.version / MANIFEST
            if not path.exists():
                write_durably(path, _text(current))
            os.utime(path)


def _retire(root: Path) -> None:
    """Remove old versions: not the active one, not the newest, and none that machines may be booting."""
    current = active(root)
    others = [one for one in versions(root) if current is None or one.version != current.version]
    for old in others[KEPT:]:
        folder = root / old.version
        with suppress(
            OSError
        ):  # another process may retire it as well; the next install tries again
            if time.time() - (folder / MANIFEST).stat().st_mtime > KEPT_SECONDS:
                # Gone at once: half of a version would look like one that is damaged.
                going = folder.rename(root / f"{_PARTIAL}{secrets.token_hex(8)}")
                shutil.rmtree(going, ignore_errors=True)
