"""The images in a folder: a stick, a share, or what a server offers."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from bty_core.errors import BtyError, ImageUnavailable
from bty_core.images.digest import KnownDigest, known_digest
from bty_core.images.file import FileSource

# What people and programs put beside images.
_DIGESTS = {".md5", ".sha1", ".sha224", ".sha256", ".sha384", ".sha512"}
_SIGNATURES = {".asc", ".gpg", ".minisig", ".pem", ".pub", ".sig", ".sign"}
_NOTES = {".conf", ".db", ".htm", ".html", ".ini", ".json", ".log", ".md", ".toml", ".txt"}
_HELP = {".bmap", ".py", ".sh", ".torrent", ".yaml", ".yml", ".zsync"}
_UNFINISHED = {".aria2", ".crdownload", ".part", ".partial", ".tmp"}
_BESIDE = _DIGESTS | _SIGNATURES | _NOTES | _HELP | _UNFINISHED
_SUMS = re.compile(r"(md5|sha\d+)sums?(\..*)?")
_SEEDS = {"user-data", "meta-data", "network-config", "vendor-data"}  # of cloud-init
_NAMES = _SEEDS | {"readme", "license", "copying"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """One image of a catalog, as its folder shows it."""

    name: str  # of the file; the key of the catalog
    path: Path
    size: int  # bytes as stored
    description: str | None
    digest: KnownDigest | None
    # Why description or digest are None though something stands beside the image.
    warnings: tuple[str, ...]


def read_catalog(root: Path) -> list[CatalogEntry]:
    """Return the images in `root` itself, by name; a folder that does not exist holds none.

    Raises `ImageUnavailable` where the folder cannot be read. The images themselves are not read.
    """
    try:
        with os.scandir(root) as found:
            names = sorted(
                (entry.name for entry in found), key=lambda name: (name.casefold(), name)
            )
        real = root.resolve(strict=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ImageUnavailable(f"the folder {root} cannot be read: {error.strerror}") from error
    names.sort(key=str.casefold)
    entries = (_entry(root / name, real) for name in names if can_be_image(name))
    return [entry for entry in entries if entry]


def can_be_image(name: str) -> bool:
    """Whether a file of this name is offered as an image."""
    low = name.lower()
    return not (
        low.startswith(".")
        or low.endswith("~")
        or os.path.splitext(low)[1] in _BESIDE
        or _SUMS.fullmatch(low)
        or low in _NAMES
    )


def _entry(path: Path, root: Path) -> CatalogEntry | None:
    """Return the entry of a regular file, or of a link to one in the same catalog."""
    try:
        if path.is_symlink() and not path.resolve(strict=True).is_relative_to(root):
            return None
        source = FileSource(path)
    except (BtyError, OSError, RuntimeError):  # RuntimeError: Python 3.11 on a loop of links
        return None
    warnings = []
    description, digest = None, None
    if not source.size:
        warnings.append(f"{path.name} is empty")
    try:
        description = _description(source)
    except (BtyError, _NoDescription) as error:
        warnings.append(str(error))
    try:
        digest = known_digest(source)
    except BtyError as error:
        warnings.append(str(error))
    return CatalogEntry(
        name=path.name,
        path=path,
        size=source.size,
        description=description,
        digest=digest,
        warnings=tuple(warnings),
    )


class _NoDescription(Exception):
    """The file that should describe an image does not."""


def _description(source: FileSource) -> str | None:
    """Return `description` of ``NAME.yaml`` on one line, without characters that move a cursor."""
    origin = f"{source.name}.yaml"
    text = source.beside(origin)
    if text is None:
        return None
    try:
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        where = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise _NoDescription(f"{origin} is no valid YAML{where}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _NoDescription(f"{origin} is no valid YAML") from error
    if content is None:
        return None
    if not isinstance(content, dict):
        raise _NoDescription(f"{origin} holds no keys and values")
    said = content.get("description")
    if said is not None and not isinstance(said, str):
        raise _NoDescription(f"description in {origin} is no text")
    line = " ".join((said or "").split())
    return "".join(letter for letter in line if letter.isprintable()) or None
