"""Where the bytes of an image come from: two small protocols that a file, a URL and a test double share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from bty_core.events import Retrying

OnRetry = Callable[[Retrying], None]


class Stream(Protocol):
    """The bytes of a source as stored, once, from the first to the last."""

    @property
    def total_bytes(self) -> int | None:
        """All the bytes that the stream will give, or None where the source does not say."""

    def readinto(self, view: memoryview) -> int:
        """Fill the start of `view` and return how many bytes that were; 0 only after the last byte.

        Raises `ImageUnavailable` where the source breaks off for good and `ImageCorrupt` where it contradicts itself.
        """

    def close(self) -> None:
        """Give everything back.

        May be called from another thread to end a `readinto` that waits; that raises `Cancelled`.
        """


class Source(Protocol):
    """Somewhere an image comes from. Looking at it costs little; opening it starts the transfer."""

    @property
    def name(self) -> str:
        """The file's name, without folders."""

    @property
    def remote(self) -> bool:
        """Whether the bytes come over the network."""

    @property
    def size(self) -> int | None:
        """Bytes as stored, None where the source does not say."""

    def __str__(self) -> str:
        """The path or address, as a person wrote it, without a password in it."""

    def read_at(self, offset: int, length: int) -> bytes | None:
        """Return up to `length` bytes from `offset` on; None where the source can only be read from the start."""

    def beside(self, name: str) -> bytes | None:
        """Return the small text file `name` (1 MiB at most) from the same folder, or None where there is none."""

    def open(self, on_retry: OnRetry) -> Stream:
        """Start from the first byte. `on_retry` hears of each break that is being mended."""
