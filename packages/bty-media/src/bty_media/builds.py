"""The builds in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bty_core.errors import BtyError, ImageUnavailable
from bty_media import manifest
from bty_media.manifest import MANIFEST, Kind, Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One build; `manifest` is None where it cannot be understood, and `problem` says why."""

    folder: Path
    manifest: Manifest | None
    problem: str | None

    def wire(self) -> dict[str, Any]:
        """Return it as JSON values."""
        found = self.manifest
        facts = found and {
            "kind": found.kind.value,
            "version": found.version,
            "bty_version": found.bty_version,
            "created": found.wire()["created"],
            "arch": found.arch,
            "kernel_version": found.kernel_version,
            "size_bytes": found.size,
            "files": [
                {"name": name, "size_bytes": one.size, "sha256": one.sha256}
                for name, one in found.files.items()
            ],
        }
        return {"path": str(self.folder), **(facts or {}), "problem": self.problem}


def find_builds(output: Path) -> list[Build]:
    """Return the builds in the folder `output`, by kind, the oldest first; broken ones come last.

    Raises `ImageUnavailable` where the folder cannot be read. One that is not there holds none.
    """
    try:
        folders = sorted(one for one in output.iterdir() if (one / MANIFEST).is_file())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ImageUnavailable(f"the folder {output} cannot be read: {error.strerror}") from error
    # What is hidden is a build that has not come to its end.
    found = [_read(folder) for folder in folders if not folder.name.startswith(".")]
    return sorted(found, key=_place)


def newest(output: Path, kind: Kind) -> Build:
    """Return the newest build of a kind; raise `ImageUnavailable` where there is none."""
    found = [one for one in find_builds(output) if one.manifest and one.manifest.kind is kind]
    if not found:
        raise ImageUnavailable(
            f"there is no build of {kind} in {output}",
            hint=f"bty-media build {kind} makes one; --output names another folder of builds",
        )
    return found[-1]


def _read(folder: Path) -> Build:
    try:
        return Build(folder=folder, manifest=manifest.read(folder), problem=None)
    except BtyError as error:
        return Build(folder=folder, manifest=None, problem=error.message)


def _place(build: Build) -> tuple[int, float, float]:
    found = build.manifest
    if found is None:
        return len(Kind), 0.0, 0.0
    # All builds of one state of the sources have the same time in them.
    changed = (build.folder / MANIFEST).stat().st_mtime
    return [*Kind].index(found.kind), found.created.timestamp(), changed
