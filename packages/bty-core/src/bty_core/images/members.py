"""gzip, xz and bzip2: files of one or more members, each with an end of its own."""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from isal import igzip_lib

from bty_core.errors import ImageCorrupt, WindowTooLarge
from bty_core.images.formats import Format
from bty_core.images.zstd import Feed
from bty_core.values import size_text

_READ = 2**18


class _Decompressor(Protocol):
    """What the decompressors of bz2, lzma and isal have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Codec:
    """How one format is read."""

    format: Format
    magic: bytes  # how each member starts
    padding: int  # zero bytes allowed after a member come in multiples of this; 0: none
    decompressor: Callable[[int], _Decompressor]  # from the memory limit in bytes
    errors: tuple[type[Exception], ...]


CODECS = {
    Format.GZIP: Codec(
        Format.GZIP,
        b"\x1f\x8b",
        1,
        lambda _: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP),
        # The stubs take the class for an instance of it.
        (cast("type[Exception]", igzip_lib.IsalError), ValueError),
    ),
    Format.XZ: Codec(
        Format.XZ,
        b"\xfd7zXZ\x00",
        4,
        # The decoder needs a little more than the dictionary.
        lambda limit: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=limit + 2**20),
        (lzma.LZMAError,),
    ),
    Format.BZIP2: Codec(
        Format.BZIP2, b"BZh", 0, lambda _: bz2.BZ2Decompressor(), (OSError, ValueError)
    ),
}


class MemberDecoder:
    """Decodes member after member; each must be whole, and nothing may follow the last but legal padding."""

    def __init__(self, feed: Feed, codec: Codec, max_window: int) -> None:
        self._feed = feed
        self._codec = codec
        self._max_window = max_window
        self._member = codec.decompressor(max_window)
        self._input = b""
        self._ended = False

    def readinto(self, view: memoryview) -> int:
        """Fill the start of `view`; 0 after the last byte of the last member."""
        while not self._ended:
            if self._member.eof:
                self._begin_next()
                continue
            if not self._input and self._member.needs_input:
                self._input = bytes(self._feed.read(_READ))
                if not self._input:
                    raise ImageCorrupt(
                        f"{self._feed.name} ends in the middle of its {self._codec.format} stream,"
                        f" after {self._feed.offset} bytes",
                        hint="the file is cut short: fetch it again",
                    )
            data = self._decode(len(view))
            if data:
                view[: len(data)] = data
                return len(data)
        return 0

    def _decode(self, length: int) -> bytes:
        try:
            data = self._member.decompress(self._input, length)
        except self._codec.errors as error:
            if isinstance(error, lzma.LZMAError) and "memory" in str(error).lower():
                raise WindowTooLarge(
                    f"{self._feed.name} needs more memory to decode than the"
                    f" {size_text(self._max_window)} that are allowed",
                    hint="allow more with --max-window, or compress the image with a smaller dictionary",
                ) from None
            raise ImageCorrupt(
                f"{self._feed.name} cannot be decoded near byte {self._feed.offset}: {error}",
                hint="the file is damaged: fetch it again",
            ) from None
        self._input = b""
        return data

    def _begin_next(self) -> None:
        rest = self._member.unused_data
        padding = 0
        while True:
            kept = rest.lstrip(b"\x00") if self._codec.padding else rest
            padding += len(rest) - len(kept)
            if kept:
                break
            rest = bytes(self._feed.read(_READ))
            if not rest:
                self._end(padding)
                return
        while len(kept) < len(self._codec.magic) and (more := self._feed.read(_READ)):
            kept += bytes(more)
        if not kept.startswith(self._codec.magic) or padding % (self._codec.padding or 1):
            raise ImageCorrupt(
                f"{self._feed.name} has {kept[:4].hex(' ')} at byte {self._feed.offset - len(kept)},"
                f" after the end of its {self._codec.format} stream",
                hint="something was added to the file, or it is damaged: fetch it again",
            )
        self._member = self._codec.decompressor(self._max_window)
        self._input = kept

    def _end(self, padding: int) -> None:
        if self._codec.padding and padding % self._codec.padding:
            raise ImageCorrupt(
                f"{self._feed.name} ends with {padding} zero bytes, which no {self._codec.format} file does",
                hint="the file is damaged: fetch it again",
            )
        self._ended = True
