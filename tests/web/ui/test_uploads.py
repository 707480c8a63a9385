"""A form with a file, read as it arrives."""

from __future__ import annotations

import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bty_core.wire.fields import InvalidField
from bty_web.ui.uploads import FormUpload

BOUNDARY = "----boundary"
TRAILER = f"\r\n--{BOUNDARY}--\r\n".encode()
MIB = 1 << 20


def head(filename: str | None = "debian.img", **fields: str) -> bytes:
    """Return what stands before the bytes of the file."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in fields.items()
    ]
    if filename is not None:
        parts.append(
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
    return "".join(parts).encode()


class Dribble:
    """A body that comes in pieces of a fixed length, as a network gives it."""

    def __init__(self, content: bytes, piece: int) -> None:
        self._content = io.BytesIO(content)
        self._piece = piece

    def read(self, size: int = -1, /) -> bytes:
        return self._content.read(min(size, self._piece) if size >= 0 else self._piece)


class Halves:
    """A body that comes in just these pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    def read(self, size: int = -1, /) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


class Endless:
    """A body with a file of `size` zeros that never is in memory as a whole."""

    def __init__(self, size: int) -> None:
        self._parts = [head(csrf_token="t"), TRAILER]
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        if len(self._parts) == 2:
            return self._parts.pop(0)
        if self._left:
            piece = bytes(min(size, self._left))
            self._left -= len(piece)
            return piece
        return self._parts.pop() if self._parts else b""


def whole(form: FormUpload, size: int = 65536) -> bytes:
    return b"".join(iter(lambda: form.read(size), b""))


def test_fields_come_first_and_the_file_in_pieces() -> None:
    body = Dribble(head(csrf_token="abc", replace="yes") + b"bytes of it" + TRAILER, 1000)
    form = FormUpload(body, BOUNDARY)
    assert form.fields == {"csrf_token": "abc", "replace": "yes"}
    assert form.filename == "debian.img"
    assert [form.read(5), form.read(5), form.read(5), form.read(5)] == [
        b"bytes",
        b" of i",
        b"t",
        b"",
    ]


@given(
    content=st.binary(max_size=300) | st.sampled_from([TRAILER[:-6], b"\r\n--", b"\r\n" * 9]),
    piece=st.integers(1, 400),
    size=st.integers(1, 64),
)
def test_every_byte_arrives_however_the_network_cuts_them(
    content: bytes, piece: int, size: int
) -> None:
    form = FormUpload(Dribble(head(name="x") + content + TRAILER, piece), BOUNDARY)
    assert whole(form, size) == content


def test_a_body_may_be_cut_anywhere() -> None:
    content = b"bytes of it\r"
    body = head(name="x") + content + TRAILER
    for cut in range(1, len(body)):
        assert whole(FormUpload(Halves(body[:cut], body[cut:]), BOUNDARY)) == content, cut


def test_an_empty_file_and_no_file_are_told_apart() -> None:
    empty = FormUpload(Dribble(head() + TRAILER, 99), BOUNDARY)
    assert (empty.filename, whole(empty)) == ("debian.img", b"")
    end = f"--{BOUNDARY}--\r\n".encode()
    none = FormUpload(Dribble(head(None, a="b") + end, 99), BOUNDARY)
    assert (none.filename, none.fields, whole(none)) == ("", {"a": "b"}, b"")


def test_two_hundred_megabytes_pass_through_a_few_of_memory() -> None:
    size = 200 * MIB
    tracemalloc.start()
    try:
        form = FormUpload(Endless(size), BOUNDARY)
        arrived = 0
        while piece := form.read():
            arrived += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert arrived == size
    assert peak < 4 * MIB


def test_a_part_with_nothing_in_it_may_do_without_its_empty_line() -> None:
    bare = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="sha256"\r\n\r\n'.encode()
    form = FormUpload(Dribble(bare + head(a="b") + b"x" + TRAILER, 7), BOUNDARY)
    assert (form.fields, whole(form)) == ({"sha256": "", "a": "b"}, b"x")


@pytest.mark.parametrize("cut", [10, 100, 190, -3])
def test_a_torn_body_is_said(cut: int) -> None:
    body = (head(csrf_token="t") + b"x" * 100 + TRAILER)[:cut]
    with pytest.raises(InvalidField, match="the upload broke off before its end"):
        whole(FormUpload(Dribble(body, 64), BOUNDARY))


def test_a_field_that_never_ends_is_refused_early() -> None:
    with pytest.raises(InvalidField, match="'note' is too long"):
        FormUpload(Dribble(head(note="x" * 100_000), 4096), BOUNDARY)


def test_a_header_that_never_ends_is_refused_early() -> None:
    start = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="'.encode()
    with pytest.raises(InvalidField):
        FormUpload(Dribble(start + b"x" * 50_000_000, 65536), BOUNDARY)


@given(st.binary(max_size=200))
def test_rubbish_is_refused(rubbish: bytes) -> None:
    with pytest.raises(InvalidField):
        FormUpload(Dribble(rubbish, 64), BOUNDARY)
    with pytest.raises(InvalidField):
        FormUpload(Dribble(f"--{BOUNDARY}\r\n".encode() + rubbish, 64), BOUNDARY)
