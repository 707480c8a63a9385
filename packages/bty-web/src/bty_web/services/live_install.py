"""Putting a live environment in place: a tar, manifest first, checked file by file, there at once or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from bty_core.errors import BtyError, ImageCorrupt
from bty_core.values import MIB, size_text
from bty_core.wire.fields import InvalidField
from bty_web.errors import Conflict, NoRoom, NotFound
from bty_web.services.live import MANIFEST, LiveFile, Manifest, active
from bty_web.services.uploads import Readable
from bty_web.settings import Settings

LARGEST_MANIFEST = 256 * 1024
KEPT = 3  # earlier versions, beside the active one
KEPT_SECONDS = 2 * 86400.0  # machines that are booting may still fetch from a version
_CHUNK = 1 * MIB
_PARTIAL = ".live-"


def install_tar(settings: Settings, stream: Readable, length: int | None) -> Manifest:
    """Take a whole live environment from a tar and let machines get it; return its manifest.

    `length` is that of the tar in bytes, where it is known. What is there already stays as it is when
    anything is wrong. Raises `InvalidField` for a manifest that is none, `ImageCorrupt` for a file
    that is not what the manifest says, `Conflict` for another content under a known version, `NoRoom`.
    """
    root = settings.boot_dir
    root.mkdir(parents=True, exist_ok=True)
    if length is not None and length > _free(settings):
        raise _no_room(length, _free(settings))
    partial = root / f"{_PARTIAL}{os.getpid()}-{secrets.token_hex(4)}"
    partial.mkdir(mode=0o755)
    try:
        manifest = _unpacked(settings, stream, partial)
        _write(partial / MANIFEST, json.dumps(manifest.wire(), indent=1).encode())
        _place(root, partial, manifest)
        activate(root, manifest.version)
    except tarfile.TarError as error:
        raise ImageCorrupt(
            f"this is no whole tar: {str(error).lower()}",
            hint="send an uncompressed tar with manifest.json first",
        ) from error
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise BtyError(f"the live environment cannot be written: {why}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _retire(root)
    return manifest


def activate(root: Path, version: str) -> Manifest:
    """Let machines get a version that is there; raise `NotFound`."""
    known = {one.version: one for one in versions(root)}
    manifest = known.get(version)
    if manifest is None:
        raise NotFound(f"there is no live environment '{version[:80]}'")
    partial = root / f".{MANIFEST}.{os.getpid()}-{secrets.token_hex(4)}"
    _write(partial, json.dumps(manifest.wire(), indent=1).encode())
    partial.replace(root / MANIFEST)
    return manifest


def versions(root: Path) -> list[Manifest]:
    """Return the live environments that are there, the newest first; broken ones are left out."""
    found: list[tuple[float, Manifest]] = []
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.name.startswith(".") or folder.is_symlink() or not folder.is_dir():
            continue
        try:
            manifest = Manifest.from_wire(json.loads((folder / MANIFEST).read_text("utf-8")))
        except (OSError, ValueError, InvalidField):
            continue
        if manifest.version == folder.name:
            found.append((folder.stat().st_mtime, manifest))
    return [manifest for _, manifest in sorted(found, key=lambda one: one[0], reverse=True)]


def sweep(root: Path) -> None:
    """Remove what processes that have ended left half-way."""
    for folder in root.glob(f"{_PARTIAL}*-*"):
        pid = folder.name.removeprefix(_PARTIAL).partition("-")[0]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _free(settings: Settings) -> int:
    free = shutil.disk_usage(settings.boot_dir).free
    return max(0, free - settings.upload_reserve_mib * MIB)


def _no_room(wanted: int, free: int) -> NoRoom:
    return NoRoom(
        f"there is no room for the live environment: {size_text(wanted)}, {size_text(free)} are free",
        hint="delete images, or earlier versions of the live environment",
    )


class _Stream:
    """The body of a request as tarfile reads it; a compressed one is refused by its first bytes."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._first = True

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        if self._first and data[:2] in (b"\x1f\x8b", b"\xfd7", b"\x28\xb5", b"BZ"):
            raise InvalidField(
                "", "this tar is compressed", hint="send it uncompressed: its files are already"
            )
        self._first = False
        return data


def _unpacked(settings: Settings, stream: Readable, folder: Path) -> Manifest:
    source = cast(IO[bytes], _Stream(stream))
    with tarfile.open(fileobj=source, mode="r|", bufsize=_CHUNK) as tar:
        members = _members(tar)
        first = next(members, None)
        if first is None or first.name != MANIFEST or first.size > LARGEST_MANIFEST:
            raise InvalidField("", f"the first file of the tar must be {MANIFEST}")
        content = tar.extractfile(first)
        assert content is not None
        manifest = _manifest(content.read())
        wanted = sum(one.size for one in manifest.files)
        if wanted > _free(settings):
            raise _no_room(wanted, _free(settings))
        missing = {one.name: one for one in manifest.files}
        for member in members:
            known = missing.pop(member.name, None)
            if known is None:
                raise InvalidField("", f"the manifest does not name '{member.name[:120]}' (again)")
            inside = tar.extractfile(member)
            assert inside is not None
            _copy(inside, folder / known.name, known)
        if missing:
            raise InvalidField("files", f"the tar does not hold {', '.join(sorted(missing))}")
    return manifest


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in tar:
        if not member.isreg():
            raise InvalidField("", f"'{member.name[:120]}' is no plain file")
        member.name = member.name.removeprefix("./")
        yield member


def _manifest(text: bytes) -> Manifest:
    try:
        return Manifest.from_wire(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise InvalidField("", f"{MANIFEST} is no valid JSON") from error


def _copy(source: IO[bytes], path: Path, known: LiveFile) -> None:
    digest = hashlib.sha256()
    size = 0
    with path.open("xb") as file:
        while data := source.read(_CHUNK):
            size += len(data)
            digest.update(data)
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if size != known.size or digest.hexdigest() != known.sha256:
        raise ImageCorrupt(
            f"{known.name} is not what the manifest says: {size} bytes with SHA-256 {digest.hexdigest()}",
            hint="build or copy the live environment again",
        )


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _place(root: Path, partial: Path, manifest: Manifest) -> None:
    there = next((one for one in versions(root) if one.version == manifest.version), None)
    if there == manifest:
        return
    target = root / manifest.version
    if there is not None or target.exists():
        raise Conflict(
            f"there is another live environment {manifest.version} already",
            hint="give what was built anew a version of its own",
        )
    partial.rename(target)


def _retire(root: Path) -> None:
    """Remove old versions: not the active one, not the newest, and none that machines may be booting."""
    current = active(root)
    others = [one for one in versions(root) if current is None or one.version != current.version]
    for old in others[KEPT:]:
        folder = root / old.version
        if time.time() - folder.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
