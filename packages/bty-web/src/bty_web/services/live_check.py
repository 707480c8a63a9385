"""Whether the files of the live environment are what its manifest says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from bty_web.services.live import LiveFile, Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCheck:
    """One file of a live environment, and what is wrong with it on the disk; None where nothing is."""

    file: LiveFile
    fault: str | None


def glance(boot_dir: Path, manifest: Manifest) -> list[FileCheck]:
    """Return every file with whether it is there and as long as it should be; nothing is read."""
    folder = boot_dir / manifest.version
    return [
        FileCheck(file=file, fault=_size_fault(folder / file.name, file)) for file in manifest.files
    ]


def check(boot_dir: Path, manifest: Manifest) -> list[FileCheck]:
    """Return every file with whether its bytes have the digest that machines will compare with."""
    folder = boot_dir / manifest.version
    return [
        FileCheck(
            file=file,
            fault=_size_fault(folder / file.name, file) or _digest_fault(folder / file.name, file),
        )
        for file in manifest.files
    ]


def _size_fault(path: Path, file: LiveFile) -> str | None:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read: {(error.strerror or str(error)).lower()}"
    return None if size == file.size else f"it has {size} bytes instead of {file.size}"


def _digest_fault(path: Path, file: LiveFile) -> str | None:
    try:
        with path.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        return f"it cannot be read: {(error.strerror or str(error)).lower()}"
    return (
        None
        if found == file.sha256
        else f"its digest is {found[:12]}… instead of {file.sha256[:12]}…"
    )
