"""Whether memory holds zeros only."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bty_core.flash.zeros import is_zero


@given(
    length=st.sampled_from([0, 1, 511, 65_535, 65_536, 70_000, 4 * 2**20]),
    where=st.integers(0),
    byte=st.integers(0, 255),
)
def test_one_byte_makes_the_difference(length: int, where: int, byte: int) -> None:
    memory = bytearray(length)
    if length:
        memory[where % length] = byte
    assert is_zero(memoryview(memory)) is (not length or not byte)
