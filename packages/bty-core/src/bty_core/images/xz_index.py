"""The decoded size of an xz file, from the indexes at the ends of its streams (the .xz file format, section 4)."""

from __future__ import annotations

from collections.abc import Callable

_HEADER = 12
_FOOTER = 12
_INDEX_LIMIT = 2**24  # a larger index is not worth fetching for a figure in the plan

ReadAt = Callable[[int, int], "bytes | None"]


def decoded_size(read_at: ReadAt, size: int) -> int | None:
    """Return the decoded bytes of the xz file of `size` bytes, or None where the file does not hold together.

    Only the ends of the streams are read. The decoder is the one that finds and names damage.
    """
    total = 0
    end = size
    while end > 0:
        footer = read_at(end - _FOOTER, _FOOTER) if end >= _HEADER + _FOOTER else None
        if footer is None or len(footer) != _FOOTER:
            return None
        if footer[-4:] == bytes(4):
            end -= 4
            continue
        if footer[-2:] != b"YZ":
            return None
        index_size = (int.from_bytes(footer[4:8], "little") + 1) * 4
        index_start = end - _FOOTER - index_size
        if index_size > _INDEX_LIMIT or index_start < _HEADER:
            return None
        index = read_at(index_start, index_size)
        sums = _sums(index) if index is not None and len(index) == index_size else None
        if sums is None:
            return None
        stored, decoded = sums
        total += decoded
        end = index_start - stored - _HEADER
    return total if end == 0 else None


def _sums(index: bytes) -> tuple[int, int] | None:
    """Return the bytes of all blocks as stored, and decoded."""
    try:
        if index[0] != 0:
            return None
        count, at = _number(index, 1)
        stored = decoded = 0
        for _ in range(count):
            unpadded, at = _number(index, at)
            block, at = _number(index, at)
            stored += -(-unpadded // 4) * 4
            decoded += block
    except IndexError:
        return None
    return stored, decoded


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7
