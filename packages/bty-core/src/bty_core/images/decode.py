"""From the bytes as stored to the bytes of the disk: one decoder for each format, all read in the same way."""

from __future__ import annotations

from typing import Protocol

from bty_core.images.formats import Format
from bty_core.images.members import CODECS, MemberDecoder
from bty_core.images.zstd import Feed, ZstdDecoder
from bty_core.values import MIB

# What the zstd of Debian writes with --long=27, and more than any xz preset needs.
MAX_WINDOW = 128 * MIB


class Decoder(Protocol):
    """The decoded bytes of an image, from the first to the last."""

    def readinto(self, view: memoryview) -> int:
        """Fill the start of `view` and return how many bytes that were; 0 only at the end.

        Raises `ImageCorrupt` for damage, truncation and trailing garbage, and `WindowTooLarge`.
        """


class _Plain:
    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def readinto(self, view: memoryview) -> int:
        data = self._feed.read(len(view))
        view[: len(data)] = data
        return len(data)


def decoder(form: Format, feed: Feed, max_window: int = MAX_WINDOW) -> Decoder:
    """Return the decoder of a stream format; `max_window` bounds the bytes of history it may keep.

    qcow2 is no stream: see `bty_core.images.qcow2`.
    """
    if form is Format.ZSTD:
        return ZstdDecoder(feed, max_window)
    if form in CODECS:
        return MemberDecoder(feed, CODECS[form], max_window)
    return _Plain(feed)


def fill(stream: Decoder, view: memoryview) -> int:
    """Fill `view` as far as the stream goes and return how many bytes that were."""
    done = 0
    while done < len(view) and (got := stream.readinto(view[done:])):
        done += got
    return done
