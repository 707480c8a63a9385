"""The decoded size of an xz file, from the indexes at the ends of its streams (the .xz file format, section 4)."""

from __future__ import annotations

from collections.abc import Callable

_HEADER = 12
_FOOTER = 12
# What is worth reading for a figure in the plan: the bytes of an index, and how many parts of the file. Over a network
# each part is a request.
_INDEX_LIMIT = 2**22
_PARTS_LIMIT = 64
_PADDING = 4096
_NUMBER_BYTES = 9

ReadAt = Callable[[int, int], "bytes | None"]


def decoded_size(read_at: ReadAt, size: int) -> int | None:
    """Return the decoded bytes of the xz file of `size` bytes, or None where the file does not hold together.

    Only the ends of the streams are read, and not of more than a few. The decoder is the one that finds and names
    damage.
    """
    total = 0
    end = size
    for _ in range(_PARTS_LIMIT):
        if end <= 0:
            break
        footer = read_at(end - _FOOTER, _FOOTER) if end >= _HEADER + _FOOTER else None
        if footer is None or len(footer) != _FOOTER:
            return None
        if footer[-4:] == bytes(4):
            end = _before_padding(read_at, end)
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


def _before_padding(read_at: ReadAt, end: int) -> int:
    """Return the end of the file without the zeros that close it, at most `_PADDING` of them."""
    start = max(0, end - _PADDING)
    tail = read_at(start, end - start) or b""
    zeros = len(tail) - len(tail.rstrip(b"\0"))
    return end - (zeros - zeros % 4)


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
    except IndexError:  # the index ends in the middle, or a number in it does not end
        return None
    return stored, decoded


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_NUMBER_BYTES):
        byte = data[at + place]
        value |= (byte & 0x7F) << 7 * place
        if not byte & 0x80:
            return value, at + place + 1
    raise IndexError
