"""Putting a finished build in place: whole under its version, or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
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


def place(
    request: Request,
    kind: Kind,
    version: str,
    files: Mapping[str, Path],
    *,
    packages: list[tuple[str, str]],
    python_packages: list[tuple[str, str]],
    boot: Mapping[str, str] | None = None,
) -> Path:
    """Move `files` into ``OUTPUT/KIND-VERSION`` with their manifest, and return that folder."""
    kernel = next((found for name, found in packages if name.startswith("linux-image-")), "")
    folder = request.output / f"{kind}-{version}"
    part = request.output / f".{folder.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, source in files.items():
        shutil.move(source, part / name)
    manifest = Manifest(
        kind=kind,
        version=version,
        bty_version=__version__,
        created=datetime.fromtimestamp(request.epoch, UTC),
        arch=request.arch,
        kernel_version=kernel,
        files={name: File.of(part / name) for name in files},
        packages=packages,
        python_packages=python_packages,
        boot=boot or {},
    )
    write(part, manifest)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return folder
