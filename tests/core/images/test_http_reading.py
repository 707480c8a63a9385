"""An image behind a URL: what it is, how large, and its bytes."""

from __future__ import annotations

import pytest

from bty_core.errors import ImageUnavailable
from bty_core.images.source import Source
from tests.core.images.http_checks import (
    DATA,
    DROPPED,
    OTHER,
    Retries,
    drain,
    fetch,
    source_of,
)
from tests.fakes.server import Fault, ImageChange, ImageServer


def test_a_url_is_a_source() -> None:
    with ImageServer(DATA, name="debian 13.img") as server:
        source: Source = source_of(server)

        assert (source.name, source.remote, source.size) == ("debian 13.img", True, len(DATA))
        assert str(source) == server.url


@pytest.mark.parametrize("size", [1_000, 65_536, len(DATA), len(DATA) + 1, 1 << 20])
def test_the_stream_gives_every_byte_once(size: int) -> None:
    with ImageServer(DATA) as server:
        assert fetch(source_of(server), size) == (DATA, [])
        assert [one.range for one in server.seen] == [None]
        assert server.seen[0].headers["Accept-Encoding"] == "identity"


def test_a_view_is_filled_and_the_total_is_known() -> None:
    with ImageServer(DATA) as server:
        stream = source_of(server).open(Retries().append)
        view = memoryview(bytearray(150_000))

        assert stream.total_bytes == len(DATA)
        assert [stream.readinto(view) for _ in range(3)] == [150_000, 50_003, 0]
        stream.close()


@pytest.mark.parametrize("framing", ["length", "close", "chunked"])
def test_an_empty_image_ends_at_once(framing: str) -> None:
    with ImageServer(b"", then=Fault(framing=framing)) as server:  # type: ignore[arg-type]
        source = source_of(server)

        assert (source.size, source.read_at(0, 10)) == (0, b"")
        assert fetch(source) == (b"", [])


@pytest.mark.parametrize("framing", ["close", "chunked"])
@pytest.mark.parametrize("size", [1_000, 1 << 20])
def test_a_server_may_keep_the_length_to_itself(framing: str, size: int) -> None:
    with ImageServer(DATA, then=Fault(framing=framing)) as server:  # type: ignore[arg-type]
        stream = source_of(server).open(Retries().append)

        assert stream.total_bytes is None
        assert drain(stream, size) == DATA
        assert stream.total_bytes == len(DATA)


def test_html_is_a_hint_only() -> None:
    with ImageServer(DATA, then=Fault(headers={"Content-Type": "text/html"})) as server:
        assert fetch(source_of(server)) == (DATA, [])


def test_one_look_serves_the_size_and_the_first_bytes() -> None:
    with ImageServer(DATA, heads=False) as server:
        source = source_of(server)

        assert source.read_at(0, 4096) == DATA[:4096]
        assert source.size == len(DATA)
        assert source.read_at(100, 65_000) == DATA[100:65_100]
        assert [(one.method, one.range) for one in server.seen] == [("GET", "bytes=0-65535")]


def test_parts_are_read_by_range() -> None:
    with ImageServer(DATA) as server:
        source = source_of(server)

        assert source.read_at(199_000, 5_000) == DATA[199_000:]
        assert source.read_at(65_000, 2_000) == DATA[65_000:67_000]
        assert source.read_at(len(DATA), 1) == b""
        assert source.read_at(10**12, 1) == b""


def test_a_server_without_ranges_shows_the_start_only() -> None:
    with ImageServer(DATA, look_faults=[Fault(ignore_range=True)]) as server:
        source = source_of(server)

        assert source.size == len(DATA)
        assert source.read_at(0, 512) == DATA[:512]
        assert source.read_at(100_000, 512) is None
        assert len(server.seen) == 1


def test_the_wrong_part_is_none() -> None:
    wrong = Fault(headers={"Content-Range": "bytes 5-516/200003"})
    with ImageServer(DATA, look_faults=[Fault(), wrong]) as server:
        assert source_of(server).read_at(100_000, 512) is None


def test_a_small_image_without_ranges_and_length() -> None:
    with ImageServer(b"tiny", look_faults=[Fault(ignore_range=True, framing="close")]) as server:
        source = source_of(server)

        assert (source.size, source.read_at(1, 10)) == (4, b"iny")


def test_a_large_image_without_ranges_and_length() -> None:
    with ImageServer(DATA, look_faults=[Fault(ignore_range=True, framing="chunked")]) as server:
        source = source_of(server)

        assert (source.size, source.read_at(1, 10)) == (None, DATA[1:11])
        assert source.read_at(100_000, 10) is None


def test_a_look_is_tried_again() -> None:
    with ImageServer(
        DATA, look_faults=[Fault(status=503), Fault(), Fault(drop_after=10)]
    ) as server:
        source = source_of(server)

        assert source.size == len(DATA)
        assert source.read_at(100_000, 512) == DATA[100_000:100_512]


def test_a_look_gives_up() -> None:
    with ImageServer(DATA, look_faults=[Fault(drop_after=10)] * 3) as server:
        source = source_of(server)
        with pytest.raises(ImageUnavailable) as caught:
            source.read_at(0, 10)
        assert str(caught.value) == f"{server.url} cannot be read: {DROPPED}"
        assert source.size == len(DATA)


def test_a_file_that_changed_between_look_and_open() -> None:
    with ImageServer(DATA, faults=[Fault(change=ImageChange(data=OTHER, etag='"b"'))]) as server:
        source = source_of(server)
        assert source.size == len(DATA)
        with pytest.raises(ImageUnavailable) as caught:
            source.open(Retries().append)
        assert str(caught.value) == f"{server.url} changed on the server since it was looked at"
        assert caught.value.hint == "start again"


def test_a_file_that_changed_between_two_looks() -> None:
    change = Fault(change=ImageChange(data=OTHER, etag='"b"'))
    with ImageServer(DATA, look_faults=[Fault(), change]) as server:
        source = source_of(server)
        assert source.size == len(DATA)
        with pytest.raises(ImageUnavailable) as caught:
            source.read_at(100_000, 512)
        assert str(caught.value) == f"{server.url} changed on the server since it was looked at"
