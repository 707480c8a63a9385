"""From what a person wrote to a source."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bty_core.errors import InvalidValue
from bty_core.images.address import HttpSettings, without_password
from bty_core.images.file import FileSource
from bty_core.images.source import Source

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE | re.ASCII)
_PATIENT = HttpSettings()


def locate(text: str | Path, *, settings: HttpSettings = _PATIENT) -> Source:
    """Return the source at a path, an ``http(s)://`` or a ``file://`` address.

    A file is looked at, and refused where it is none; a server is not asked anything yet. Raises
    `InvalidValue` for other text.
    """
    if isinstance(text, Path):
        return FileSource(text)
    scheme = _SCHEME.match(text)
    if not text or "\0" in text:
        raise InvalidValue(
            "no image was named",
            hint="give a path, or an address that starts with http:// or https://",
        )
    if scheme is None:
        return FileSource(Path(text))
    match scheme[1].lower():
        case "http" | "https":
            # Only what comes over the network pays for the import of a network library.
            from bty_core.images.http import HttpSource

            return HttpSource(text, settings=settings)
        case "file":
            return FileSource(_path(text))
        case other:
            raise InvalidValue(
                f"bty cannot read images from {other}:// addresses",
                hint="give a path, or an address that starts with http://, https:// or file://",
            )


def _path(text: str) -> Path:
    """Return the path of a ``file://`` address."""
    try:
        parts = urlsplit(text)
        path = unquote(parts.path, errors="surrogateescape")
    except ValueError as error:
        raise InvalidValue(
            "an address cannot be understood", hint="write it like file:///srv/debian.img"
        ) from error
    if parts.netloc not in ("", "localhost") or not path.strip("/") or "\0" in path:
        raise InvalidValue(
            f"'{without_password(parts)}' is not the address of a local file",
            hint="write it like file:///srv/debian.img, with three slashes",
        )
    return Path(path)
