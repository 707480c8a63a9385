"""``bty-appliance shipped``: what the appliance's image has for machines, put where bty-web serves it.

Runs as bty. What an operator has uploaded is never replaced: only what came with an earlier image.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bty_core.errors import BtyError, ImageCorrupt
from bty_web.dhcp import programs
from bty_web.dhcp.durable import write_durably
from bty_web.services import live, live_install, statefolder
from bty_web.settings import Settings

FOLDER = Path("/usr/share/bty/live")
_NOTED = "shipped.json"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noted:
    """What was put in place before: the live environment's version and age, and each program's digest."""

    version: str = ""
    created: str = ""
    programs: dict[str, str] = field(default_factory=dict)


def install(settings: Settings, folder: Path = FOLDER, *, root: Path = Path("/")) -> list[str]:
    """Put in place what the image at `root` has and bty-web lacks; return a sentence for each.

    Raises `ImageCorrupt`, `NoRoom` or `WriteFailed`; what is there already stays.
    """
    statefolder.make(settings)
    noted = _read(settings.state_dir)
    placed = programs.refresh(settings.tftp_root, noted.programs, root=root)
    said = [f"{name} of the package {programs.PACKAGE} is in place" for name in placed]
    fresh = {**noted.programs, **placed}
    _note(settings.state_dir, replace(noted, programs=fresh))
    offered = _offered(folder)
    if offered is None:
        return [*said, f"{folder} holds no live environment"]
    version, created = str(offered.get("version")), str(offered.get("created", ""))
    if why := _why_not(settings, noted, version, created):
        return [*said, why]
    manifest = live_install.install_tar(settings, _Tar(folder), None)
    _note(settings.state_dir, _Noted(version=version, created=created, programs=fresh))
    return [*said, f"the live environment {manifest.version} is in place"]


def _why_not(settings: Settings, noted: _Noted, version: str, created: str) -> str | None:
    """Return why the live environment of the image is not to be put in place, or None."""
    try:
        active = live.active(settings.boot_dir)
    except BtyError:
        return "the live environment cannot be read: its page says why"
    if active is None:
        return None
    if active.version == version:
        return f"the live environment {version} is in place"
    if active.version != noted.version:
        return f"the live environment {active.version} was chosen by an operator and stays"
    if created <= noted.created:
        return f"the live environment {active.version} stays: the image has none that is newer"
    return None


def _offered(folder: Path) -> dict[str, Any] | None:
    path = folder / live.MANIFEST
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ImageCorrupt(
            f"{path} cannot be read: {error}", hint="write the image of the server again"
        ) from error
    return found if isinstance(found, dict) else None


def _read(state_dir: Path) -> _Noted:
    try:
        given = json.loads((state_dir / _NOTED).read_text("utf-8"))
        return _Noted(
            version=str(given["version"]),
            created=str(given["created"]),
            programs={str(name): str(digest) for name, digest in given["programs"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _Noted()


def _note(state_dir: Path, noted: _Noted) -> None:
    text = {"version": noted.version, "created": noted.created, "programs": noted.programs}
    write_durably(state_dir / _NOTED, json.dumps(text, indent=1).encode())


class _Tar:
    """The files of a folder as the tar that `live_install` takes, made while it is read."""

    def __init__(self, folder: Path) -> None:
        self._pieces = self._made(folder)
        self._left = b""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; none at the end."""
        if not self._left:
            self._left = next(self._pieces, b"")
        piece, self._left = self._left[:size], self._left[size:]
        return piece

    @staticmethod
    def _made(folder: Path) -> Iterator[bytes]:
        manifest = folder / live.MANIFEST
        names = list(json.loads(manifest.read_text("utf-8"))["files"])
        for path in (manifest, *(folder / Path(name).name for name in names)):
            with path.open("rb") as content:
                member = tarfile.TarInfo(path.name)
                member.size = path.stat().st_size
                yield member.tobuf(tarfile.GNU_FORMAT)
                while data := content.read(_CHUNK):
                    yield data
                yield bytes(-member.size % tarfile.BLOCKSIZE)
        yield bytes(2 * tarfile.BLOCKSIZE)
