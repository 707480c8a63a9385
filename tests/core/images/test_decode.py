"""Decoding: whole streams give the bytes of the disk, and everything else gives a sentence."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bty_core.errors import BtyError, ImageCorrupt, ImageRefused, WindowTooLarge
from bty_core.images.decode import MAX_WINDOW, decoder, fill
from bty_core.images.formats import SNIFF_BYTES, Format, sniff
from bty_core.images.zstd import FrameWalker
from tests.fakes.images import STREAMS, content, xz, zstd

DATA = content(1_500_001)
COMPRESSED = {kind: compress(DATA) for kind, (_, compress) in STREAMS.items() if kind != "raw"}


class BytesFeed:
    """Stored bytes from memory, handed out in pieces of `piece` bytes."""

    def __init__(self, data: bytes, piece: int = 2**18) -> None:
        self.name = "disk.img"
        self.offset = 0
        self._data = data
        self._piece = piece

    def read(self, size: int) -> bytes:
        data = self._data[self.offset : self.offset + min(size, self._piece)]
        self.offset += len(data)
        return data


def decode(
    data: bytes,
    piece: int = 2**18,
    room: int = 2**20,
    max_window: int = MAX_WINDOW,
    form: Format | None = None,
) -> bytes:
    form = form or sniff(data[:SNIFF_BYTES], "disk.img")
    stream = decoder(form, BytesFeed(data, piece), max_window)
    memory = memoryview(bytearray(room))
    decoded = bytearray()
    while got := fill(stream, memory):
        decoded += memory[:got]
    return bytes(decoded)


@pytest.mark.parametrize("kind", COMPRESSED)
def test_a_whole_stream_is_decoded(kind: str) -> None:
    assert decode(COMPRESSED[kind]) == DATA


@pytest.mark.parametrize("kind", COMPRESSED)
@pytest.mark.parametrize(("piece", "room"), [(1, 2**20), (7, 4096), (65_537, 1_000)])
def test_pieces_of_any_size_make_no_difference(kind: str, piece: int, room: int) -> None:
    stored = STREAMS[kind][1](DATA[:60_000])
    assert decode(stored, piece, room) == DATA[:60_000]


@pytest.mark.parametrize("kind", COMPRESSED)
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.9999])
def test_a_stream_cut_short_is_an_error_that_says_where(kind: str, share: float) -> None:
    stored = COMPRESSED[kind].rstrip(b"\0")
    cut = stored[: max(int(len(stored) * share), 20)]
    if kind == "zstd with skippable frames" and share > 0.99:
        cut = stored[:-3]
    with pytest.raises(ImageCorrupt) as caught:
        decode(cut)
    assert caught.value.message.startswith("disk.img ends in the middle of ")
    assert f"after {len(cut)} bytes" in caught.value.message
    assert caught.value.hint == "the file is cut short: fetch it again"


@given(kind=st.sampled_from(["gzip", "xz", "bzip2", "zstd"]), data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_length_but_the_whole_decodes(kind: str, data: st.DataObject) -> None:
    stored = STREAMS[kind][1](DATA[:50_000])
    length = data.draw(st.integers(1, len(stored) - 1))
    with pytest.raises(BtyError):
        decode(stored[:length], form=sniff(stored[:SNIFF_BYTES], "x"))


@pytest.mark.parametrize("kind", ["gzip", "xz", "bzip2", "zstd"])
@pytest.mark.parametrize(
    "garbage", [b"x", b"garbage!", os.urandom(5000), b"\x1f", b"BZ", b"\0\0\0\1"]
)
def test_trailing_garbage_is_an_error_that_says_where(kind: str, garbage: bytes) -> None:
    with pytest.raises(ImageCorrupt) as caught:
        decode(COMPRESSED[kind] + garbage)
    assert caught.value.message.startswith("disk.img ")


@pytest.mark.parametrize("kind", ["bzip2", "zstd"])
def test_formats_without_padding_take_no_zeros_at_the_end(kind: str) -> None:
    with pytest.raises(ImageCorrupt):
        decode(COMPRESSED[kind] + bytes(4))


def test_xz_padding_comes_in_fours() -> None:
    with pytest.raises(ImageCorrupt) as caught:
        decode(COMPRESSED["xz"] + bytes(6))
    assert caught.value.message == "disk.img ends with 6 zero bytes, which no xz file does"


@given(kind=st.sampled_from(["gzip", "xz", "bzip2", "zstd"]), data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_flipped_bit_never_gives_other_bytes(kind: str, data: st.DataObject) -> None:
    stored = bytearray(COMPRESSED[kind])
    at = data.draw(st.integers(0, len(stored) - 1))
    stored[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        decoded = decode(bytes(stored))
    except BtyError:
        return
    # Fields without data, such as gzip's time stamp, may change; a broken magic number makes it raw.
    assert decoded in (DATA, bytes(stored))


def test_a_window_larger_than_allowed_is_refused_with_the_way_out() -> None:
    stored = zstd(os.urandom(2**20) * 140, "--long=28")
    with pytest.raises(WindowTooLarge) as caught:
        decode(stored)
    assert caught.value.message == (
        "disk.img needs a zstd window of 268 MB to decode, more than the 134 MB that are allowed"
    )
    assert (
        caught.value.hint
        == "allow it with --max-window 268435456, or compress the image without --long"
    )
    assert len(decode(stored, max_window=2**28)) == 140 * 2**20


def test_an_xz_dictionary_larger_than_allowed_is_refused() -> None:
    with pytest.raises(WindowTooLarge) as caught:
        decode(xz(DATA, "--lzma2=dict=64MiB"), max_window=2**23)
    assert (
        caught.value.message
        == "disk.img needs more memory to decode than the 8.39 MB that are allowed"
    )


def test_a_zstd_dictionary_is_refused() -> None:
    stored = bytearray(zstd(b"abc" * 1000, "--no-check"))
    described = bytes(
        [*stored[:4], stored[4] | 1, *([stored[5]] if not stored[4] & 0x20 else []), 7]
    )
    with pytest.raises(ImageRefused) as caught:
        FrameWalker("disk.img", MAX_WINDOW).feed(described + bytes(20))
    assert (
        caught.value.message
        == "disk.img was compressed with a zstd dictionary, which bty does not have"
    )


@given(cuts=st.lists(st.integers(1, 200_000), max_size=30))
def test_the_walker_knows_frames_and_sizes_whatever_the_pieces(cuts: list[int]) -> None:
    stored = COMPRESSED["zstd with skippable frames"] + zstd(b"more")
    walker = FrameWalker("disk.img", MAX_WINDOW)
    at = 0
    for cut in cuts:
        walker.feed(stored[at : at + cut])
        at += cut
    walker.feed(stored[at:])
    assert walker.at_boundary
    assert walker.frames == 2
    # A program that reads from a pipe does not know the size, and so the frame does not say it.
    assert walker.content_size is None


def test_a_size_is_known_where_each_frame_says_it() -> None:
    walker = FrameWalker("disk.img", MAX_WINDOW)
    walker.feed(zstd(DATA, f"--stream-size={len(DATA)}"))
    walker.feed(zstd(b"abc", "--stream-size=3"))
    assert walker.content_size == len(DATA) + 3


def test_raw_bytes_pass_as_they_are() -> None:
    assert decode(DATA) == DATA
    assert sniff(DATA[:SNIFF_BYTES], "x") is Format.RAW
