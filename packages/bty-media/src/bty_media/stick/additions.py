"""The files that go onto a stick: images, and what stands beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bty_core.errors import ImageRefused
from bty_core.images.catalog import can_be_image
from bty_core.images.digest import KnownDigest, known_digest
from bty_core.images.file import FileSource
from bty_core.images.inspect import inspect
from bty_core.values import MIB

_BESIDE = (".yaml", ".sha256")
_FORBIDDEN = re.compile(r'[\x00-\x1f"*/:<>?\\|]|[ .]$')  # exFAT, and who else reads it
_LONGEST = 255  # UTF-16 units of a name
_ENTRIES_AT_ONCE = 15  # UTF-16 units of a name in one entry of a directory
_ENTRY = 32  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """One image that goes onto the stick; `digest` is known for it, `beside` are its own small files."""

    source: FileSource
    digest: KnownDigest | None
    beside: tuple[Path, ...]

    @property
    def name(self) -> str:
        """Its name on the stick."""
        return self.source.name

    @property
    def sums(self) -> str | None:
        """The name of the file with its digest that is made beside it; None where it brings its own."""
        name = f"{self.name}.sha256"
        return None if any(one.name == name for one in self.beside) else name

    def room(self, cluster: int) -> int:
        """Return how many bytes of a filesystem with clusters of `cluster` bytes it takes, at most."""
        sizes = [self.source.size, *(one.stat().st_size for one in self.beside)]
        names = [self.name, *(one.name for one in self.beside)]
        if self.sums:
            sizes.append(cluster)
            names.append(self.sums)
        entries = sum(_ENTRY * (3 + len(name) // _ENTRIES_AT_ONCE) for name in names)
        return entries + sum(-(-size // cluster) * cluster for size in sizes)


def read_additions(paths: Iterable[Path]) -> list[Addition]:
    """Look at each image; raise `ImageRefused` for what is none, or cannot be on a stick.

    Also raises what looking at an image does: `ImageUnavailable`, `ImageCorrupt`.
    """
    found: list[Addition] = []
    taken: dict[str, Path] = {}
    for path in paths:
        source = FileSource(path)
        _insist_on_name(source.name)
        if other := taken.get(source.name.casefold()):
            raise ImageRefused(
                f"{other} and {path} have the same name on a stick", hint="rename one of them"
            )
        taken[source.name.casefold()] = path
        inspect(source)  # archives and half images are refused here and not at the machine
        beside = [path.with_name(path.name + ending) for ending in _BESIDE]
        found.append(
            Addition(
                source=source,
                digest=known_digest(source),
                beside=tuple(one for one in beside if one.is_file()),
            )
        )
    return found


def cluster_of(size: int) -> int:
    """Return the size of a cluster that mkfs.exfat chooses for a filesystem of `size` bytes, in bytes."""
    if size <= 256 * MIB:
        return 4096
    return 32768 if size <= 32768 * MIB else 131072


def room_of(size: int) -> int:
    """Return how many bytes of files a new exFAT of `size` bytes takes for certain."""
    cluster = cluster_of(size)
    # Two areas that begin at whole MiB, a table of four bytes a cluster, and a bit of each.
    return size - 3 * MIB - 5 * (size // cluster) - 8 * cluster


def _insist_on_name(name: str) -> None:
    if not can_be_image(name):
        raise ImageRefused(
            f"'{name}' is no name that bty offers as an image",
            hint="name it like debian-13.img.zst",
        )
    if _FORBIDDEN.search(name) or len(name.encode("utf-16-le", "replace")) // 2 > _LONGEST - 7:
        raise ImageRefused(
            f"'{name}' cannot be the name of a file on a stick, whose filesystem is exFAT",
            hint='rename it, without " * / : < > ? \\ |',
        )
