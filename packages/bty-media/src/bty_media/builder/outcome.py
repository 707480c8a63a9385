"""Putting a finished build in place: whole under its version, or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bty_media import __version__
from bty_media.builder.request import Request
from bty_media.manifest import File, Kind, Manifest, write


def debian_packages(built: Path, image: str) -> list[tuple[str, str]]:
    """Return name and version of the packages that mkosi put into an image."""
    listed = json.loads((built / f"{image}.manifest").read_text())
    return sorted((one["name"], one["version"]) for one in listed["packages"])


def version_of(request: Request, content: File) -> str:
    """Return the version of a build: bty's, the day of its sources, and the content that decides what it does."""
    day = datetime.fromtimestamp(request.epoch, UTC).strftime("%Y%m%d")
    return f"{__version__}-{day}-{content.sha256[:8]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a build has made. `files` are by the name that they get; `boot` is as in the manifest."""

    kind: Kind
    version: str
    files: Mapping[str, Path]
    packages: list[tuple[str, str]]
    python_packages: list[tuple[str, str]]
    boot: Mapping[str, str] = field(default_factory=dict)


def place(request: Request, made: Outcome) -> Path:
    """Move the files of `made` into ``OUTPUT/KIND-VERSION`` with their manifest, and return that folder."""
    kernel = next((found for name, found in made.packages if name.startswith("linux-image-")), "")
    folder = request.output / f"{made.kind}-{made.version}"
    part = request.output / f".{folder.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, source in made.files.items():
        shutil.move(source, part / name)
    manifest = Manifest(
        kind=made.kind,
        version=made.version,
        bty_version=__version__,
        created=datetime.fromtimestamp(request.epoch, UTC),
        arch=request.arch,
        kernel_version=kernel,
        files={name: File.of(part / name) for name in made.files},
        packages=made.packages,
        python_packages=made.python_packages,
        boot=made.boot,
    )
    write(part, manifest)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return folder
