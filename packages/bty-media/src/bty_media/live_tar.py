"""The tar that a server takes a network environment as, made while it is sent."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bty_core.errors import ImageUnavailable
from bty_core.values import MIB
from bty_media.errors import BuildDamaged
from bty_media.manifest import MANIFEST, Manifest

_CHUNK = MIB
_END = bytes(2 * tarfile.BLOCKSIZE)


class LiveTar:
    """The bytes of the tar: the manifest first, then each file. Its length is known before."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Look at nothing but the manifest."""
        self.tick: Callable[[int], None] = lambda _more: None  # is told how many bytes more left
        self._folder = folder
        self._text = (folder / MANIFEST).read_bytes()
        self._sizes = {name: one.size for name, one in manifest.files.items()}

    def __len__(self) -> int:
        sizes = [len(self._text), *self._sizes.values()]
        return sum(tarfile.BLOCKSIZE + _padded(size) for size in sizes) + len(_END)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces():
            yield piece
            self.tick(len(piece))

    def _pieces(self) -> Iterator[bytes]:
        yield _header(MANIFEST, len(self._text))
        yield self._text + bytes(_padded(len(self._text)) - len(self._text))
        for name, size in self._sizes.items():
            yield _header(name, size)
            yield from self._content(self._folder / name, size)
            yield bytes(_padded(size) - size)
        yield _END

    def _content(self, path: Path, size: int) -> Iterator[bytes]:
        left = size
        try:
            with path.open("rb") as file:
                while left and (data := file.read(min(left, _CHUNK))):
                    left -= len(data)
                    yield data
        except OSError as error:
            raise ImageUnavailable(f"{path} cannot be read: {error.strerror}") from error
        if left:
            raise BuildDamaged(f"{path} became shorter while it was sent", hint="build it again")


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.USTAR_FORMAT)


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
