"""Zstandard: the structure of its frames, followed while they pass, and the decoder.

The library does not tell a frame that ended from one that was cut short, so bty follows the frame and block headers
itself (RFC 8878, section 3). That also gives window sizes before anything is decoded, and offsets for messages.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

import zstandard

from bty_core.errors import ImageCorrupt, ImageRefused, WindowTooLarge
from bty_core.values import size_text

_FRAME = 0xFD2FB528
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_BLOCK_RLE, _BLOCK_RESERVED = 1, 3


class Feed(Protocol):
    """Compressed bytes, as a decoder takes them."""

    name: str
    offset: int  # bytes handed out so far

    def read(self, size: int) -> bytes | memoryview:
        """Return 1 to `size` bytes; none at the end."""


class _Expect(Enum):
    MAGIC = auto()
    SKIPPABLE_SIZE = auto()
    DESCRIPTOR = auto()
    HEADER = auto()
    BLOCK = auto()


class FrameWalker:
    """Follows the frames of a Zstandard file in pieces of any size."""

    def __init__(self, name: str, max_window: int) -> None:
        self._name = name
        self._max_window = max_window
        self._offset = 0
        self._skip = 0
        self._have = bytearray()
        self._want = 4
        self._expect = _Expect.MAGIC
        self._descriptor = 0
        self.frames = 0  # data frames begun
        self.content_size: int | None = 0  # of the frames begun; None once one does not say

    @property
    def at_boundary(self) -> bool:
        """Whether a file may end here."""
        return self._expect is _Expect.MAGIC and not self._have and not self._skip

    def feed(self, data: bytes | memoryview) -> None:
        """Follow `data`, the next bytes of the file.

        Raises `ImageCorrupt` where no frame can go on like this and `WindowTooLarge` for a frame that needs more
        memory than allowed.
        """
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
            else:
                step = min(self._want - len(self._have), len(data) - at)
                self._have += data[at : at + step]
            at += step
            self._offset += step
            if not self._skip and len(self._have) == self._want:
                field = bytes(self._have)
                self._have.clear()
                self._take(field)

    def _next(self, expect: _Expect, want: int, skip: int = 0) -> None:
        self._expect, self._want, self._skip = expect, want, skip

    def _take(self, field: bytes) -> None:
        value = int.from_bytes(field, "little")
        match self._expect:
            case _Expect.MAGIC if value == _FRAME:
                self._next(_Expect.DESCRIPTOR, 1)
            case _Expect.MAGIC if value in _SKIPPABLE:
                self._next(_Expect.SKIPPABLE_SIZE, 4)
            case _Expect.MAGIC:
                raise ImageCorrupt(
                    f"{self._name} has {field.hex(' ')} at byte {self._offset - 4}, where a zstd frame must begin",
                    hint="something was added to the file, or it is damaged: fetch it again",
                )
            case _Expect.SKIPPABLE_SIZE:
                self._next(_Expect.MAGIC, 4, skip=value)
            case _Expect.DESCRIPTOR:
                self._descriptor = value
                self._next(_Expect.HEADER, sum(_header_fields(value)))
            case _Expect.HEADER:
                self._take_header(field)
                self._next(_Expect.BLOCK, 3)
            case _Expect.BLOCK:
                self._take_block(value)

    def _take_header(self, field: bytes) -> None:
        window_bytes, dictionary_bytes, size_bytes = _header_fields(self._descriptor)
        content: int | None = None
        if size_bytes:
            content = int.from_bytes(field[-size_bytes:], "little") + (
                256 if size_bytes == 2 else 0
            )
        if window_bytes:
            base = 1 << (10 + (field[0] >> 3))
            window = base + (base >> 3) * (field[0] & 7)
        else:
            window = content or 0
        if window > self._max_window:
            raise WindowTooLarge(
                f"{self._name} needs a zstd window of {size_text(window)} to decode,"
                f" more than the {size_text(self._max_window)} that are allowed",
                hint=f"allow it with --max-window {window}, or compress the image without --long",
            )
        if any(field[window_bytes : window_bytes + dictionary_bytes]):
            raise ImageRefused(
                f"{self._name} was compressed with a zstd dictionary, which bty does not have",
                hint="compress the image without a dictionary",
            )
        self.frames += 1
        known = self.content_size
        self.content_size = None if known is None or content is None else known + content

    def _take_block(self, header: int) -> None:
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        if kind == _BLOCK_RESERVED:
            raise ImageCorrupt(
                f"{self._name} has a block of an unknown kind at byte {self._offset - 3}",
                hint="the file is damaged: fetch it again",
            )
        skip = 1 if kind == _BLOCK_RLE else size
        if last:
            self._next(_Expect.MAGIC, 4, skip=skip + (4 if self._descriptor & 4 else 0))
        else:
            self._next(_Expect.BLOCK, 3, skip=skip)


def _header_fields(descriptor: int) -> tuple[int, int, int]:
    """Return how many bytes window, dictionary id and content size take after the frame header descriptor."""
    single_segment = descriptor >> 5 & 1
    size = (1 if single_segment else 0, 2, 4, 8)[descriptor >> 6]
    return 1 - single_segment, (0, 1, 2, 4)[descriptor & 3], size


class _Followed:
    """A feed whose frames are followed as they pass."""

    def __init__(self, feed: Feed, walker: FrameWalker) -> None:
        self._feed = feed
        self._walker = walker

    def read(self, size: int) -> bytes | memoryview:
        data = self._feed.read(size)
        if data:
            self._walker.feed(data)
        elif not self._walker.at_boundary:
            raise ImageCorrupt(
                f"{self._feed.name} ends in the middle of a zstd frame, after {self._feed.offset} bytes",
                hint="the file is cut short: fetch it again",
            )
        return data


class ZstdDecoder:
    """Decodes one or many frames straight into the caller's memory."""

    def __init__(self, feed: Feed, max_window: int) -> None:
        self._feed = feed
        self.walker = FrameWalker(feed.name, max_window)
        source = _Followed(feed, self.walker)
        decompressor = zstandard.ZstdDecompressor(max_window_size=max_window)
        reader = decompressor.stream_reader(source, read_size=2**18, read_across_frames=True)  # type: ignore[arg-type]  # it only calls read()
        self._readinto: Callable[[memoryview], int] = reader.readinto

    def readinto(self, view: memoryview) -> int:
        """Fill the start of `view`; 0 after the last byte of the last frame."""
        try:
            return self._readinto(view)
        except zstandard.ZstdError as error:
            raise ImageCorrupt(
                f"{self._feed.name} cannot be decoded near byte {self._feed.offset}: {error}",
                hint="the file is damaged: fetch it again",
            ) from None
