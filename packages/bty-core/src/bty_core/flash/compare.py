"""Looking without writing: an image against a disk, and an image against itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event as Flag

from bty_core.disks.model import Disk
from bty_core.errors import VerifyFailed
from bty_core.flash.flow import Chunk
from bty_core.flash.target import Target, aligned
from bty_core.flash.transfer import CHUNK, Meter, Moved, Request, transfer
from bty_core.images.inspect import Image


@dataclass(frozen=True, slots=True)
class Measured:
    """What only reading all of an image tells."""

    sha256: str  # of the bytes as stored
    disk_sha256: str  # of the decoded bytes
    virtual_size: int  # decoded bytes


def compare(
    image: Image,
    disk: Disk,
    max_window: int,
    tick: Callable[[Meter], None],
    cancel: Flag | None = None,
) -> Moved:
    """Compare each byte of `image` with the start of `disk`, past the page cache.

    Raises `VerifyFailed` with the first byte that differs, and what reading either side raises.
    """
    with Target(disk, write=False) as target:
        target.forget_cache()
        return transfer(
            _request(image, max_window), _Comparing(target, image.name), tick, cancel or Flag()
        )


def measure(
    image: Image, max_window: int, tick: Callable[[Meter], None], cancel: Flag | None = None
) -> Measured:
    """Read and decode all of `image`; raises what reading it raises."""
    taker = _Measuring()
    moved = transfer(_request(image, max_window), taker, tick, cancel or Flag())
    assert moved.sha256 is not None
    return Measured(moved.sha256, taker.digest.hexdigest(), moved.decoded_bytes)


def decode(
    image: Image,
    sink: Callable[[memoryview], object],
    max_window: int,
    tick: Callable[[Meter], None],
    cancel: Flag | None = None,
) -> None:
    """Give the decoded bytes of `image` to `sink`, in order; raises what reading it or `sink` raises."""
    transfer(_request(image, max_window), _Giving(sink), tick, cancel or Flag())


def _request(image: Image, max_window: int) -> Request:
    return Request(
        source=image.source,
        format=image.format,
        virtual_size=image.virtual_size,
        hashing=True,
        max_window=max_window,
    )


class _Measuring:
    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def take(self, chunk: Chunk) -> None:
        self.digest.update(chunk.view)


class _Giving:
    def __init__(self, sink: Callable[[memoryview], object]) -> None:
        self._sink = sink

    def take(self, chunk: Chunk) -> None:
        self._sink(chunk.view)


class _Comparing:
    def __init__(self, target: Target, name: str) -> None:
        self._target = target
        self._name = name
        self._room = memoryview(aligned(CHUNK))

    def take(self, chunk: Chunk) -> None:
        padded = self._target.padded(chunk.length)
        got = min(self._target.read(self._room[:padded], chunk.offset), chunk.length)
        if got < chunk.length:
            raise VerifyFailed(
                f"{self._target.disk.path} ends after {chunk.offset + got} bytes, {self._name} goes on",
                hint="flash it onto a larger disk",
            )
        if bytearray(chunk.view) != self._room[: chunk.length]:
            byte = next(at for at in range(chunk.length) if chunk.memory[at] != self._room[at])
            raise VerifyFailed(
                f"{self._target.disk.path} differs from {self._name} at byte {chunk.offset + byte}",
                hint="flash it again, unless it was used since: a system that has booted changes its disk",
            )
