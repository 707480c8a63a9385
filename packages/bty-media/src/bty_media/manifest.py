"""What a build holds: its files with their digests, and the packages that went in."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from bty_core.errors import ImageUnavailable, InvalidValue
from bty_core.values import Digest
from bty_core.wire.fields import Fields, InvalidField
from bty_media.errors import BuildDamaged

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
_SCHEMA = "1"
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class Kind(StrEnum):
    """What can be built."""

    USB = "usb"
    PXE = "pxe"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class File:
    """One file of a build."""

    sha256: str
    size: int  # bytes

    @classmethod
    def of(cls, path: Path) -> Self:
        """Measure a file."""
        with path.open("rb") as content:
            return cls(hashlib.file_digest(content, "sha256").hexdigest(), path.stat().st_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A build. `boot` holds what a server needs of the network environment: kernel, initrd and cmdline."""

    kind: Kind
    version: str
    bty_version: str
    created: datetime
    arch: str
    kernel_version: str
    files: Mapping[str, File]
    packages: Sequence[tuple[str, str]] = ()  # Debian's, name and version
    python_packages: Sequence[tuple[str, str]] = ()
    boot: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(one.size for one in self.files.values())

    def wire(self) -> dict[str, Any]:
        """Return the manifest as JSON values."""
        return {
            "schema_version": _SCHEMA,
            "kind": self.kind.value,
            "version": self.version,
            "bty_version": self.bty_version,
            "created": self.created.strftime(_TIME),
            "arch": self.arch,
            "kernel_version": self.kernel_version,
            **self.boot,
            "files": {
                name: {"sha256": one.sha256, "size": one.size} for name, one in self.files.items()
            },
            "packages": _listed(self.packages),
            "python_packages": _listed(self.python_packages),
        }

    @classmethod
    def from_wire(cls, message: object) -> Self:
        """Read a manifest; raise `InvalidField` for what is missing or wrong."""
        given = Fields(message)
        files = given.fields("files")
        names = list(message["files"]) if isinstance(message, dict) else []
        found = {}
        for name in names:
            if name != Path(name).name or name in ("", ".", "..", MANIFEST, SUMS):
                raise InvalidField("files", f"'{name}' is no name of a file beside the manifest")
            one = files.fields(name)
            found[name] = File(Digest.parse(one.text("sha256")).hex, one.integer("size"))
        kind = given.choice("kind", Kind)
        return cls(
            kind=kind,
            version=given.text("version"),
            bty_version=given.text("bty_version"),
            created=_time(given.text("created")),
            arch=given.text("arch"),
            kernel_version=given.text("kernel_version"),
            files=found,
            packages=_read_list(message, "packages"),
            python_packages=_read_list(message, "python_packages"),
            boot={
                name: given.text(name, most=1500)
                for name in ("kernel", "initrd", "cmdline")
                if kind is Kind.PXE
            },
        )


def read(folder: Path) -> Manifest:
    """Return the manifest of the build in `folder`.

    Raises `ImageUnavailable` where there is none, `BuildDamaged` where it cannot be understood.
    """
    path = folder / MANIFEST
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ImageUnavailable(
            f"{folder} holds no build: {path.name}: {(error.strerror or str(error)).lower()}",
            hint="bty-media list shows the builds that are there",
        ) from error
    try:
        return Manifest.from_wire(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise BuildDamaged(f"{path} is no valid JSON", hint="build it again") from error
    except InvalidValue as error:
        raise BuildDamaged(f"{path}: {error.message}", hint="build it again") from error


def write(folder: Path, manifest: Manifest) -> None:
    """Put the manifest and SHA256SUMS into `folder`; the manifest comes last: a build that has one is whole."""
    text = json.dumps(manifest.wire(), indent=1, sort_keys=False) + "\n"
    sums = {name: one.sha256 for name, one in manifest.files.items()}
    sums[MANIFEST] = hashlib.sha256(text.encode()).hexdigest()
    _put(folder / SUMS, "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)))
    _put(folder / MANIFEST, text)


def _time(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidField("created", f"'created': '{text}' is no time in UTC") from error


def _put(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)


def _listed(packages: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "version": version} for name, version in packages]


def _read_list(message: object, name: str) -> list[tuple[str, str]]:
    entries = message.get(name, []) if isinstance(message, dict) else []
    if not isinstance(entries, list):
        raise InvalidField(name, f"'{name}' is no list")
    return [(one.text("name"), one.text("version")) for one in map(Fields, entries)]
