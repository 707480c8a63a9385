"""The live environment: which one is active, and where its files are."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from bty_core.errors import InvalidValue
from bty_core.values import Digest
from bty_core.wire.fields import Fields, InvalidField
from bty_web.errors import BrokenSetting

MANIFEST = "manifest.json"
MOST_FILES = 64
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,119}")
# Becomes a line of an iPXE script: nothing there may be read as a setting or another command.
_CMDLINE = re.compile(r"[A-Za-z0-9 ._,:=/@%+-]{0,1500}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFile:
    """One file of a live environment."""

    name: str
    sha256: str
    size: int  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A live environment: its files lie in ``BTY_BOOT_DIR/{version}/``."""

    version: str
    kernel: str
    initrd: str
    cmdline: str
    files: tuple[LiveFile, ...]

    @classmethod
    def from_wire(cls, message: object) -> Self:
        """Read a manifest; raise `InvalidField` for what is missing, wrong or could give orders to firmware."""
        given = Fields(message)
        files = given.fields("files")
        names = list(message["files"]) if isinstance(message, dict) else []
        if not 0 < len(names) <= MOST_FILES:
            raise InvalidField("files", f"'files' must name 1 to {MOST_FILES} files")
        listed = []
        for name in names:
            _matching(str(name), _FILE, "files", "a file's name")
            one = files.fields(name)
            listed.append(LiveFile(name=name, sha256=_digest(one), size=one.integer("size")))
        manifest = cls(
            version=_matching(given.text("version"), _VERSION, "version", "a version"),
            kernel=given.text("kernel"),
            initrd=given.text("initrd"),
            cmdline=_matching(
                given.optional(lambda field: given.text(field, most=1500), "cmdline", "") or "",
                _CMDLINE,
                "cmdline",
                "a kernel command line",
            ),
            files=tuple(listed),
        )
        for field in ("kernel", "initrd"):
            if getattr(manifest, field) not in names:
                raise InvalidField(field, f"'{field}' must be one of the files")
        return manifest

    def wire(self) -> dict[str, Any]:
        """Return the manifest as JSON values."""
        return {
            "version": self.version,
            "kernel": self.kernel,
            "initrd": self.initrd,
            "cmdline": self.cmdline,
            "files": {one.name: {"sha256": one.sha256, "size": one.size} for one in self.files},
        }


def _digest(given: Fields) -> str:
    try:
        return Digest.parse(given.text("sha256")).hex
    except InvalidField:
        raise
    except InvalidValue as error:
        raise InvalidField(given.name("sha256"), error.message) from error


def _matching(text: str, allowed: re.Pattern[str], field: str, what: str) -> str:
    if not allowed.fullmatch(text) or ".." in text:
        raise InvalidField(field, f"'{field}': this is not {what} that firmware can be given")
    return text


def active(boot_dir: Path) -> Manifest | None:
    """Return the live environment that machines get, or None where there is none.

    Raises `BrokenSetting` when its manifest cannot be read.
    """
    path = boot_dir / MANIFEST
    try:
        state = path.stat()
        return _read(path, (state.st_ino, state.st_mtime_ns, state.st_size))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, InvalidField) as error:
        raise BrokenSetting(
            f"the live environment's {path.name} cannot be used: {error}",
            hint="upload the live environment again, on its page or with PUT /api/v1/live",
        ) from error


@lru_cache(maxsize=4)
def _read(path: Path, stamp: tuple[int, int, int]) -> Manifest:  # noqa: ARG001 - the stamp is a key
    return Manifest.from_wire(json.loads(path.read_text("utf-8")))
