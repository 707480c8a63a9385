"""Whether a build is what its manifest says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from bty_core.images.digest import parse_lines
from bty_core.values import MIB
from bty_media.manifest import MANIFEST, SUMS, File, Manifest

_CHUNK = 4 * MIB

Tick = Callable[[int], None]  # is told how many bytes more were read


def differences(folder: Path, manifest: Manifest, tick: Tick = lambda _more: None) -> list[str]:
    """Return in a sentence each what is not as the manifest says; none means that the build is whole."""
    found = []
    for name, wanted in manifest.files.items():
        why = _fault(folder / name, wanted, tick)
        if why:
            found.append(f"{name}: {why}")
    known = {*manifest.files, MANIFEST, SUMS}
    more = sorted(one.name for one in folder.iterdir() if one.name not in known)
    found += [f"{name}: the manifest does not name it" for name in more]
    return [*found, *_sums(folder, manifest)]


def _fault(path: Path, wanted: File, tick: Tick) -> str | None:
    try:
        if not path.is_file() or path.is_symlink():
            return "it is missing" if not path.exists() else "it is no regular file"
        size = path.stat().st_size
        if size != wanted.size:
            return f"it has {size} bytes instead of {wanted.size}"
        digest = _digest(path, tick)
    except OSError as error:
        return f"it cannot be read: {(error.strerror or str(error)).lower()}"
    if digest != wanted.sha256:
        return f"its SHA-256 is {digest} instead of {wanted.sha256}"
    return None


def _digest(path: Path, tick: Tick) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while data := content.read(_CHUNK):
            digest.update(data)
            tick(len(data))
    return digest.hexdigest()


def _sums(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Say how SHA256SUMS, which other programs read, differs from the manifest."""
    try:
        lines = parse_lines((folder / SUMS).read_bytes())
        wanted = {name: one.sha256 for name, one in manifest.files.items()}
        wanted[MANIFEST] = _digest(folder / MANIFEST, lambda _more: None)
    except FileNotFoundError:
        yield f"{SUMS}: it is missing"
        return
    except OSError as error:
        yield f"{SUMS}: it cannot be read: {(error.strerror or str(error)).lower()}"
        return
    given = {line.name: line.digest.hex for line in lines if line.name and line.digest}
    for name in sorted({*wanted, *given}):
        if name not in given:
            yield f"{SUMS}: it does not name {name}"
        elif name not in wanted:
            yield f"{SUMS}: it names {name}, which is no file of the build"
        elif given[name] != wanted[name]:
            yield f"{SUMS}: it says {given[name]} of {name} instead of {wanted[name]}"
