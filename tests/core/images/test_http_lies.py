"""Servers that contradict themselves."""

from __future__ import annotations

import pytest

from bty_core.errors import ImageCorrupt, ImageUnavailable
from tests.core.images.http_checks import (
    DATA,
    LIAR,
    OLD_FILE,
    Retries,
    check_failure,
    fetch,
    source_of,
)
from tests.fakes.server import Fault, ImageChange, ImageServer


def test_a_length_that_is_too_long() -> None:
    with ImageServer(DATA, faults=[Fault(length_lie=10)]) as server:
        message = "{url} changed on the server after 200003 of 200013 bytes were read"
        check_failure(server, ImageUnavailable, message, OLD_FILE)


def test_a_length_that_is_too_short() -> None:
    with ImageServer(DATA, faults=[Fault(length_lie=-10)]) as server:
        message = "{url} cannot be trusted: the server sent more bytes than it announced"
        check_failure(server, ImageCorrupt, message, LIAR)


@pytest.mark.parametrize("size", [1_000, 200_003, 1 << 20])
def test_bytes_after_the_last_one(size: int) -> None:
    with ImageServer(DATA, faults=[Fault(extra=b"!")]) as server:
        with pytest.raises(ImageCorrupt) as caught:
            fetch(source_of(server), size)
        assert str(caught.value) == (
            f"{server.url} cannot be trusted: the server sent more bytes than it announced"
        )


@pytest.mark.parametrize("framing", ["close", "chunked"])
def test_an_answer_without_length_that_is_longer_than_the_file(framing: str) -> None:
    longer = Fault(framing=framing, change=ImageChange(data=DATA + b"!" * 9000, etag='"a"'))  # type: ignore[arg-type]
    with ImageServer(DATA, etag='"a"', faults=[longer]) as server:
        source = source_of(server)
        assert source.size == len(DATA)
        stream = source.open(Retries().append)
        got = bytearray()
        view = memoryview(bytearray(4096))

        def read_on() -> None:
            while True:
                got.extend(view[: stream.readinto(view)])

        with pytest.raises(ImageCorrupt) as caught:
            read_on()
        assert str(caught.value) == (
            f"{server.url} cannot be trusted: the server sent more bytes than it announced"
        )
        assert DATA.startswith(got)
        stream.close()


def test_a_look_at_more_bytes_than_announced() -> None:
    with ImageServer(b"tiny", look_faults=[Fault(ignore_range=True, length_lie=-1)]) as server:
        with pytest.raises(ImageCorrupt) as caught:
            source_of(server).read_at(0, 10)
        assert str(caught.value) == (
            f"{server.url} cannot be trusted: the server sent more bytes than it announced"
        )


def test_a_server_that_has_no_first_byte() -> None:
    with ImageServer(DATA, look_faults=[Fault(status=416)]) as server:
        with pytest.raises(ImageCorrupt) as caught:
            _ = source_of(server).size
        assert str(caught.value) == (
            f"{server.url} cannot be trusted: the server refuses to send the first bytes"
        )
        assert caught.value.hint == LIAR


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (
            "bytes 70001-200002/200003",
            "bytes 70000-200002 were asked for and the server sent 'bytes 70001-200002/200003'",
        ),
        (
            "bytes 70000-200001/200003",
            "bytes 70000-200002 were asked for and the server sent 'bytes 70000-200001/200003'",
        ),
        ("", "the server sent a part of the file and does not say which"),
        ("bytes */200003", "the server sent a part of the file and does not say which"),
        ("bytes 9-1/200003", "the server sent a part of the file and does not say which"),
        ("pages 1-2/3", "the server sent a part of the file and does not say which"),
    ],
)
def test_a_part_that_was_not_asked_for(header: str, reason: str) -> None:
    faults = [Fault(drop_after=70_000), Fault(headers={"Content-Range": header})]
    with ImageServer(DATA, faults=faults) as server:
        check_failure(server, ImageCorrupt, f"{{url}} cannot be trusted: {reason}", LIAR)


def test_a_part_of_another_total() -> None:
    wrong = Fault(headers={"Content-Range": "bytes 70000-200003/200004"})
    with ImageServer(DATA, faults=[Fault(drop_after=70_000), wrong]) as server:
        message = "{url} changed on the server after 70000 of 200003 bytes were read"
        check_failure(server, ImageUnavailable, message, OLD_FILE)


def test_a_part_with_the_wrong_length() -> None:
    faults = [Fault(drop_after=70_000), Fault(length_lie=1)]
    with ImageServer(DATA, faults=faults) as server:
        message = (
            "{url} cannot be trusted: the server sent 'bytes 70000-200002/200003' "
            "and announced 130004 bytes of it"
        )
        check_failure(server, ImageCorrupt, message, LIAR)


def test_a_part_where_all_was_asked_for() -> None:
    part = Fault(status=206, headers={"Content-Range": "bytes 0-9/200003"})
    with ImageServer(DATA, faults=[part]) as server:
        message = (
            "{url} cannot be trusted: all of the file was asked for and the server sent a part"
        )
        check_failure(server, ImageCorrupt, message, LIAR)


def test_nothing_where_bytes_are_missing() -> None:
    nothing = Fault(status=416, headers={"Content-Range": "bytes */200003"})
    with ImageServer(DATA, faults=[Fault(drop_after=70_000), nothing]) as server:
        message = (
            "{url} cannot be trusted: the server says that nothing follows byte 70000 of 200003"
        )
        check_failure(server, ImageCorrupt, message, LIAR)


def test_a_packed_answer() -> None:
    with ImageServer(DATA, faults=[Fault(headers={"Content-Encoding": "gzip"})]) as server:
        message = (
            "{url} cannot be read: the server packs the file again (gzip), "
            "though its bytes as stored were asked for"
        )
        hint = "switch compression of answers off for images on the server"
        check_failure(server, ImageUnavailable, message, hint)


@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [
        (
            401,
            "401 Unauthorized",
            "put user and password into the address, as in https://user:password@server/image",
        ),
        (403, "403 Forbidden", "check on the server who may read this file"),
        (404, "404 Not Found", "check the address"),
        (418, "418 I'm a Teapot", "check the address"),
        (204, "204 No Content", "check the address"),
        (304, "304 Not Modified", "check the address"),
        (499, "499", "check the address"),
    ],
)
def test_a_server_that_says_no(status: int, said: str, hint: str) -> None:
    with ImageServer(DATA, faults=[Fault(status=status)]) as server:
        message = f"{{url}} cannot be read: the server answered {said}"
        assert check_failure(server, ImageUnavailable, message, hint) == []
        assert len(server.seen) == 1
