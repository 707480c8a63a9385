"""The decoded size of an xz file, without decoding it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bty_core.images.xz_index import decoded_size
from tests.fakes.images import STREAMS, content


def size_of(stored: bytes) -> int | None:
    return decoded_size(lambda offset, length: stored[offset : offset + length], len(stored))


@pytest.mark.parametrize("kind", [kind for kind in STREAMS if kind.startswith("xz")])
@pytest.mark.parametrize("size", [0, 1, 1_000_003])
def test_each_block_and_stream_counts(kind: str, size: int) -> None:
    assert size_of(STREAMS[kind][1](content(size))) == size


@given(data=st.binary(max_size=200))
def test_rubbish_has_no_size(data: bytes) -> None:
    assert size_of(b"\xfd7zXZ\0" + data) is None


@given(
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), max_size=4),
    cut=st.integers(0, 300),
)
def test_damage_never_raises(flips: list[tuple[int, int]], cut: int) -> None:
    stored = bytearray(STREAMS["xz of many blocks"][1](content(3000)))
    for at, bits in flips:
        stored[at % len(stored)] ^= bits
    size_of(bytes(stored[: len(stored) - cut]))


def test_a_source_that_cannot_seek_has_no_size() -> None:
    assert decoded_size(lambda _offset, _length: None, 1000) is None
