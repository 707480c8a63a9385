"""Images behind URLs, read from a real server that lies, stalls and drops."""

from __future__ import annotations

import errno
import random
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bty_core.errors import BtyError, Cancelled, ImageCorrupt, ImageUnavailable, InvalidValue
from bty_core.events import Retrying
from bty_core.images.exchange import HttpSettings, Span
from bty_core.images.failures import from_requests
from bty_core.images.http import HttpSource
from bty_core.images.source import Source, Stream
from bty_core.proc import run
from tests.fakes.server import Fault, ImageChange, ImageServer

DATA = random.Random(2).randbytes(200_003)
OTHER = random.Random(3).randbytes(200_003)
FAST = HttpSettings(connect_seconds=2, stall_seconds=0.3, tries=4, look_tries=2, waits=(0.01,))
OLD_FILE = "start again: what was read so far is of the old file"
LIAR = "start again, and if it stays like this look at the server and at proxies on the way"
NETWORK = "check the network and the server"
RUNS = "check the address, and that the server runs"
DROPPED = "the connection was dropped"


class Retries(list[Retrying]):
    """What a stream said of the breaks that it mended."""

    @property
    def reasons(self) -> list[str]:
        return [one.reason for one in self]


def source_of(server: ImageServer) -> HttpSource:
    return HttpSource(server.url, settings=FAST)


def drain(stream: Stream, size: int = 4096) -> bytes:
    view = memoryview(bytearray(size))
    found = bytearray()
    try:
        while got := stream.readinto(view):
            found += view[:got]
    finally:
        stream.close()
    return bytes(found)


def fetch(source: Source, size: int = 4096) -> tuple[bytes, Retries]:
    retries = Retries()
    return drain(source.open(retries.append), size), retries


def check_failure(
    server: ImageServer, kind: type[BtyError], message: str, hint: str | None
) -> Retries:
    """Read all of the image, which must fail in exactly these words."""
    retries = Retries()
    with pytest.raises(kind) as caught:
        drain(source_of(server).open(retries.append))
    assert type(caught.value) is kind
    assert str(caught.value) == message.format(url=server.url, host=server.host)
    assert caught.value.hint == hint
    return retries


# When nothing goes wrong


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


# Looking


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


# Breaks that are mended


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("size", [1_000, 1 << 20])
def test_a_dropped_link_goes_on_from_the_last_byte(reset: bool, size: int) -> None:
    faults = [Fault(drop_after=70_000, reset=reset), Fault(drop_after=1, reset=reset)]
    with ImageServer(DATA, faults=faults) as server:
        data, retries = fetch(source_of(server), size)

        assert data == DATA
        assert retries.reasons == [DROPPED] * 2
        at = [one.source_bytes for one in retries]
        assert [one.range for one in server.seen] == [None, *(f"bytes={n}-" for n in at)]
        assert [one.headers.get("If-Range") for one in server.seen[1:]] == [server.etag] * 2
        if not reset:  # RST may overtake bytes
            assert at == [70_000, 70_001]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    drops=st.lists(st.tuples(st.integers(0, 60_000), st.booleans()), max_size=6),
    size=st.integers(1_000, 300_000),
    ranges=st.booleans(),
    tags=st.sampled_from(["strong", "weak", "date", "none"]),
    framing=st.sampled_from(["length", "chunked"]),
)
def test_whatever_breaks_the_bytes_are_those_of_the_file(
    drops: list[tuple[int, bool]], size: int, ranges: bool, tags: str, framing: str
) -> None:
    faults = [
        Fault(drop_after=n, reset=reset, ignore_range=not ranges, framing=framing)  # type: ignore[arg-type]
        for n, reset in drops
    ]
    etag = {"strong": '"a"', "weak": 'W/"a"'}.get(tags)
    modified = None if tags == "none" else "Mon, 01 Jan 2024 00:00:00 GMT"
    patient = HttpSettings(stall_seconds=5, tries=20, waits=(0.0,))
    with ImageServer(DATA, faults=faults, etag=etag, modified=modified) as server:
        data, retries = fetch(HttpSource(server.url, settings=patient), size)

        assert data == DATA
        if sum(n for n, _ in drops) < len(DATA):
            assert len(retries) == len(drops)


def test_a_stalled_link_goes_on_from_the_last_byte() -> None:
    with ImageServer(DATA, faults=[Fault(stall_after=70_000)]) as server:
        data, retries = fetch(source_of(server), 1 << 20)

        assert data == DATA
        assert list(retries) == [
            Retrying(
                reason="nothing came for 0.3 seconds",
                source_bytes=70_000,
                attempt=1,
                wait_seconds=0.01,
            )
        ]


def test_what_came_before_a_break_is_handed_on_at_once() -> None:
    with ImageServer(DATA, faults=[Fault(drop_after=70_000)]) as server:
        stream = source_of(server).open(Retries().append)
        view = memoryview(bytearray(1 << 20))

        assert [stream.readinto(view) for _ in range(3)] == [70_000, 130_003, 0]
        stream.close()


def test_progress_starts_the_count_again() -> None:
    with ImageServer(DATA, faults=[Fault(drop_after=5_000)] * 12) as server:
        data, retries = fetch(source_of(server))

        assert data == DATA
        assert [one.attempt for one in retries] == [1] * 12


def test_waits_grow() -> None:
    waits = HttpSettings()

    assert [waits.wait(n) for n in range(1, 8)] == [0.5, 1, 2, 4, 8, 8, 8]
    assert (waits.wait(1, 7), waits.wait(5, 3), waits.wait(1, 3600)) == (7, 8, 30)


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        (Fault(status=500), 0.01),
        (Fault(status=503, headers={"Retry-After": "0"}), 0.01),
        (Fault(status=503, headers={"Retry-After": "never"}), 0.01),
        (Fault(status=429, headers={"Retry-After": "3600"}), 0.05),
    ],
)
def test_a_busy_server_is_asked_again(fault: Fault, wait: float) -> None:
    limits = HttpSettings(tries=4, waits=(0.01,), pause_seconds=0.05)
    with ImageServer(DATA, faults=[fault, Fault(drop_after=1_000), fault]) as server:
        data, retries = fetch(HttpSource(server.url, settings=limits))

        assert data == DATA
        assert [(one.attempt, one.source_bytes) for one in retries] == [
            (1, 0),
            (1, 1000),
            (2, 1000),
        ]
        assert [one.wait_seconds for one in retries] == [wait, 0.01, wait]


def test_a_server_may_name_the_time_to_come_back() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=3000), usegmt=True)
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=3000), usegmt=True)
    faults = [Fault(status=503, headers={"Retry-After": when}) for when in (soon, past)]
    limits = HttpSettings(tries=4, waits=(0.01,), pause_seconds=0.05)
    with ImageServer(DATA, faults=faults) as server:
        _, retries = fetch(HttpSource(server.url, settings=limits))

        assert [one.wait_seconds for one in retries] == [0.05, 0.01]


@pytest.mark.parametrize(
    "fault", [Fault(ignore_range=True), Fault(framing="chunked", ignore_range=True)]
)
def test_a_server_that_starts_over_is_compared(fault: Fault) -> None:
    with ImageServer(DATA, faults=[Fault(drop_after=70_000)], then=fault) as server:
        data, retries = fetch(source_of(server))

        assert data == DATA
        assert len(retries) == 1


@pytest.mark.parametrize("etag", [None, 'W/"a"'])
def test_without_a_strong_tag_no_part_is_trusted(etag: str | None) -> None:
    with ImageServer(DATA, faults=[Fault(drop_after=70_000)], etag=etag, modified=None) as server:
        data, _ = fetch(source_of(server))

        assert data == DATA
        assert [one.range for one in server.seen] == [None, None]


def test_the_date_stands_in_for_a_tag() -> None:
    with ImageServer(DATA, faults=[Fault(drop_after=70_000)], etag=None) as server:
        data, _ = fetch(source_of(server))

        assert data == DATA
        assert server.seen[1].headers["If-Range"] == server.modified
        assert server.seen[1].range == "bytes=70000-"


def test_a_lost_end_of_a_chunked_stream() -> None:
    faults = [Fault(drop_after=len(DATA), framing="chunked")]
    with ImageServer(DATA, faults=faults) as server:
        data, retries = fetch(source_of(server))

        assert data == DATA  # the server says 416: nothing follows
        assert len(retries) == 1


def test_a_lost_end_of_a_chunked_part() -> None:
    faults = [Fault(drop_after=70_000), Fault(drop_after=130_003, framing="chunked")]
    with ImageServer(DATA, faults=faults) as server:
        assert fetch(source_of(server))[0] == DATA
        assert len(server.seen) == 2


def test_a_short_answer_without_length_is_noticed_after_a_look() -> None:
    with ImageServer(DATA, faults=[Fault(drop_after=70_000, framing="close")]) as server:
        source = source_of(server)
        assert source.size == len(DATA)

        data, retries = fetch(source)
        assert (data, len(retries)) == (DATA, 1)


# Breaks that are not


def test_no_progress_gives_up() -> None:
    with ImageServer(DATA, faults=[Fault(drop_after=70_000)], then=Fault(drop_after=0)) as server:
        message = f"{{url}} broke off after 70000 of 200003 bytes: {DROPPED} (4 tries in a row)"
        retries = check_failure(server, ImageUnavailable, message, NETWORK)
        assert [one.attempt for one in retries] == [1, 2, 3]


def test_a_server_that_stays_silent() -> None:
    with ImageServer(DATA, then=Fault(stall_after=0)) as server:
        message = "{url} cannot be read: nothing came for 0.3 seconds (4 tries in a row)"
        check_failure(server, ImageUnavailable, message, RUNS)


def test_a_server_that_takes_the_request_and_never_answers() -> None:
    with ImageServer(DATA, then=Fault(silent=True)) as server:
        message = "{url} cannot be read: nothing came for 0.3 seconds (4 tries in a row)"
        check_failure(server, ImageUnavailable, message, RUNS)


@pytest.mark.parametrize("ignore_condition", [False, True])
def test_a_file_that_changes_in_the_middle(ignore_condition: bool) -> None:
    change = Fault(
        change=ImageChange(data=OTHER, etag='"other"'), ignore_condition=ignore_condition
    )
    with ImageServer(DATA, faults=[Fault(drop_after=70_000), change]) as server:
        message = "{url} changed on the server after 70000 of 200003 bytes were read"
        check_failure(server, ImageUnavailable, message, OLD_FILE)


def test_a_file_that_changes_its_length_in_the_middle() -> None:
    change = Fault(change=ImageChange(data=OTHER[:-1], etag=None, modified=None))
    faults = [Fault(drop_after=70_000), change]
    with ImageServer(DATA, faults=faults, etag=None, modified=None) as server:
        message = "{url} changed on the server after 70000 of 200003 bytes were read"
        check_failure(server, ImageUnavailable, message, OLD_FILE)


def test_a_file_that_becomes_shorter_than_what_was_read() -> None:
    change = Fault(change=ImageChange(data=DATA[:5], etag='"5"'), ignore_condition=True)
    with ImageServer(DATA, faults=[Fault(drop_after=70_000), change]) as server:
        message = "{url} changed on the server after 70000 of 200003 bytes were read"
        check_failure(server, ImageUnavailable, message, OLD_FILE)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_other_bytes_without_a_tag_are_found_by_comparing(framing: str) -> None:
    change = Fault(
        change=ImageChange(data=b"x" + DATA[1:], etag=None, modified=None),
        framing=framing,  # type: ignore[arg-type]
    )
    faults = [Fault(drop_after=70_000), change]
    with ImageServer(DATA, faults=faults, etag=None, modified=None) as server:
        message = "{url} changed on the server after 70000 of 200003 bytes were read"
        check_failure(server, ImageUnavailable, message, OLD_FILE)


def test_a_shorter_file_without_tag_and_length() -> None:
    change = Fault(change=ImageChange(data=DATA[:5], etag=None, modified=None), framing="chunked")
    faults = [Fault(drop_after=70_000, framing="chunked"), change]
    with ImageServer(DATA, faults=faults, etag=None, modified=None) as server:
        message = "{url} changed on the server after 70000 bytes were read"
        check_failure(server, ImageUnavailable, message, OLD_FILE)


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


@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [
        (500, "500 Internal Server Error", "look into the log of the server"),
        (503, "503 Service Unavailable", "look into the log of the server"),
        (429, "429 Too Many Requests", "wait a little, then start again"),
    ],
)
def test_a_server_that_stays_busy(status: int, said: str, hint: str) -> None:
    with ImageServer(DATA, then=Fault(status=status)) as server:
        message = f"{{url}} cannot be read: the server answered {said} (4 tries in a row)"
        assert len(check_failure(server, ImageUnavailable, message, hint)) == 3


def test_a_server_that_forgets_the_file_in_the_middle() -> None:
    with ImageServer(DATA, faults=[Fault(drop_after=70_000), Fault(status=404)]) as server:
        message = "{url} broke off after 70000 of 200003 bytes: the server answered 404 Not Found"
        check_failure(server, ImageUnavailable, message, "check the address")


# Nobody there


def test_a_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    source = HttpSource(f"http://127.0.0.1:{port}/a.img", settings=FAST)
    with pytest.raises(ImageUnavailable) as caught:
        source.open(Retries().append)
    assert str(caught.value) == (
        f"{source} cannot be read: 127.0.0.1:{port} refused the connection (4 tries in a row)"
    )
    assert caught.value.hint == RUNS


def test_an_unknown_name() -> None:
    source = HttpSource("http://nobody.invalid/a.img", settings=FAST)
    with pytest.raises(ImageUnavailable) as caught:
        _ = source.size
    assert str(caught.value) == (
        "http://nobody.invalid/a.img cannot be read: the name nobody.invalid is not known here"
    )
    assert caught.value.hint == "check the address, and the name server of this network"


def test_a_host_that_takes_no_connections() -> None:
    limits = HttpSettings(connect_seconds=0.1, tries=1)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]  # they fill the queue
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        source = HttpSource(f"http://127.0.0.1:{port}/a.img", settings=limits)
        with pytest.raises(ImageUnavailable) as caught:
            source.open(Retries().append)
        for one in waiting:
            one.close()
    assert str(caught.value) == (
        f"{source} cannot be read: 127.0.0.1:{port} took no connection within 0.1 seconds"
    )


def test_something_that_is_no_web_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            with server.accept()[0] as link:
                link.recv(4096)
                link.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        port = server.getsockname()[1]
        source = HttpSource(f"http://127.0.0.1:{port}/a.img", settings=FAST)
        with pytest.raises(ImageUnavailable) as caught:
            source.open(Retries().append)
        thread.join(5)
    assert (
        str(caught.value) == f"{source} cannot be read: what 127.0.0.1:{port} answered is not HTTP"
    )


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://user:secret@127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    source = HttpSource("http://images.invalid/a.img", settings=FAST)
    with pytest.raises(ImageUnavailable) as caught:
        _ = source.size
    assert str(caught.value) == (
        "http://images.invalid/a.img cannot be read: "
        "the proxy on the way to images.invalid does not let this through"
    )
    assert caught.value.hint == "check HTTP_PROXY, HTTPS_PROXY and NO_PROXY"


def test_a_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with ImageServer(DATA) as server:
        monkeypatch.setenv("http_proxy", f"http://{server.host}")
        monkeypatch.setenv("no_proxy", "")
        source = HttpSource("http://images.invalid/images/debian.img", settings=FAST)

        assert fetch(source) == (DATA, [])
        assert server.seen[0].path == "http://images.invalid/images/debian.img"


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (OSError(errno.ENETUNREACH, "no"), "there is no way to images.invalid:80"),
        (OSError(errno.EHOSTUNREACH, "no"), "there is no way to images.invalid:80"),
        (BrokenPipeError(), DROPPED),
        (OSError(errno.EMFILE, "no"), "the request failed (ConnectionError)"),
    ],
)
def test_what_the_network_says(cause: OSError, reason: str) -> None:
    wrapped = requests.ConnectionError(requests.ConnectionError(cause))

    assert from_requests(wrapped, "http://images.invalid/a.img", 1, 1).reason == reason


def test_a_tls_handshake_that_breaks_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            for _ in range(2):
                with server.accept()[0] as link:
                    link.recv(4096)

        thread = threading.Thread(target=hang_up)
        thread.start()
        limits = HttpSettings(tries=2, waits=(0.01,))
        source = HttpSource(f"https://127.0.0.1:{server.getsockname()[1]}/a.img", settings=limits)
        with pytest.raises(ImageUnavailable) as caught:
            source.open(Retries().append)
        thread.join(5)
    assert str(caught.value) == f"{source} cannot be read: {DROPPED} (2 tries in a row)"


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "\u2010.example", "*.example", "a..b"])
def test_a_host_that_cannot_be(host: str) -> None:
    source = HttpSource(f"http://{host}/a.img", settings=FAST)
    with pytest.raises(ImageUnavailable) as caught:
        _ = source.size
    assert str(caught.value) in (
        f"{source} cannot be read: the address is not a valid one",
        f"{source} cannot be read: the name {host} is not known here",
    )


# Addresses


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://host/a.img", "'ftp://host/a.img' is not the address of a file on a web server"),
        ("http:///a.img", "'http:///a.img' is not the address of a file on a web server"),
        ("http://host/a\nb", "'http://host/ab' is not the address of a file on a web server"),
        ("http://host:x/a.img", "an address cannot be understood"),
        ("http://[::1/a.img", "an address cannot be understood"),
        ("http://u:p@host/images/", "'http://host/images/' names a folder, not an image"),
        ("http://host", "'http://host' names a folder, not an image"),
    ],
)
def test_an_address_that_is_none(url: str, message: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        HttpSource(url)
    assert str(caught.value) == message


def test_the_password_is_used_and_never_shown() -> None:
    with ImageServer(DATA, faults=[Fault(), Fault(status=403)]) as server:
        source = HttpSource(server.url.replace("://", "://me:s%40cret@"), settings=FAST)

        assert fetch(source) == (DATA, [])
        assert server.seen[0].headers["Authorization"] == "Basic bWU6c0BjcmV0"
        assert str(source) == server.url
        with pytest.raises(ImageUnavailable) as caught:
            fetch(source)
        assert str(caught.value) == (
            f"{server.url} cannot be read: the server answered 403 Forbidden"
        )


# Redirects


def test_a_redirect_is_followed_and_remembered() -> None:
    drop = [Fault(drop_after=70_000)]
    with ImageServer(DATA, name="real.img", faults=drop) as mirror, ImageServer(b"") as server:
        moved = {"Location": mirror.url}
        server.answers["/images/debian.img"] = Fault(status=302, headers=moved)
        source = HttpSource(server.url.replace("://", "://me:secret@"), settings=FAST)

        assert source.size == len(DATA)
        assert fetch(source)[0] == DATA
        assert (source.name, str(source)) == ("debian.img", server.url)
        assert len(server.seen) == 1
        assert len(mirror.transfers) == 2
        assert "Authorization" in server.seen[0].headers
        assert not any("Authorization" in one.headers for one in mirror.seen)


def test_a_mirror_that_goes_away_is_replaced() -> None:
    gone = [Fault(drop_after=70_000), Fault(status=403)]
    with (
        ImageServer(DATA, faults=gone, etag='"1"') as one,
        ImageServer(DATA, etag='"2"') as two,
        ImageServer(b"") as server,
    ):
        server.answers["/images/debian.img"] = Fault(status=302, headers={"Location": one.url})
        stream = source_of(server).open(Retries().append)
        server.answers["/images/debian.img"] = Fault(status=302, headers={"Location": two.url})

        assert drain(stream) == DATA
        assert [seen.range for seen in two.seen] == ["bytes=70000-"]


def test_redirects_that_never_end() -> None:
    with ImageServer(DATA, then=Fault(status=301, headers={"Location": "debian.img"})) as server:
        message = "{url} cannot be read: the server sends on more than 10 times"
        check_failure(server, ImageUnavailable, message, "check the server's redirects")
        assert len(server.seen) == 11


@pytest.mark.parametrize("location", ["ftp://host/a", "http://[x/", "file:///etc/passwd"])
def test_a_redirect_to_nowhere(location: str) -> None:
    with ImageServer(DATA, then=Fault(status=307, headers={"Location": location})) as server:
        message = "{url} cannot be read: the server sends on to something that is no web address"
        check_failure(server, ImageUnavailable, message, "check the server's redirects")


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 that nobody has signed, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    run(["openssl", "req", "-x509", *kind, *names, *files], timeout=30)
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return both


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.with_name("cert.pem")))


@pytest.mark.usefixtures("trusted")
def test_https_with_an_authority_of_ones_own(tls: ssl.SSLContext) -> None:
    faults = [Fault(drop_after=70_000), Fault(drop_after=10_000, reset=True)]
    with ImageServer(DATA, tls=tls, faults=faults) as server:
        source = source_of(server)

        assert source.size == len(DATA)
        data, retries = fetch(source)
        assert data == DATA
        assert len(retries) == 2


def test_a_certificate_that_nobody_signed(tls: ssl.SSLContext) -> None:
    with ImageServer(DATA, tls=tls) as server:
        message = "{url} cannot be read: the certificate of 127.0.0.1 was not accepted: "
        check_failure(
            server,
            ImageUnavailable,
            message + "self-signed certificate",
            "check the clock of this machine and the certificate; "
            "REQUESTS_CA_BUNDLE names a file with own authorities",
        )


def test_https_where_http_is_spoken() -> None:
    with ImageServer(DATA) as server:
        source = HttpSource(server.url.replace("http:", "https:"), settings=FAST)
        with pytest.raises(ImageUnavailable) as caught:
            source.open(Retries().append)
        assert str(caught.value).startswith(
            f"{source} cannot be read: {server.host} made no encrypted connection: "
        )
        assert caught.value.hint == "check that https is spoken on this port"


@pytest.mark.usefixtures("trusted")
def test_a_redirect_from_https_to_http(tls: ssl.SSLContext) -> None:
    with ImageServer(DATA) as plain, ImageServer(DATA, tls=tls) as server:
        server.answers["/images/debian.img"] = Fault(status=302, headers={"Location": plain.url})
        message = "{url} cannot be read: the server sends on from https to plain http on 127.0.0.1"
        hint = "give the http address itself if an open connection is what you want"
        check_failure(server, ImageUnavailable, message, hint)
        assert plain.seen == []


@pytest.mark.usefixtures("trusted")
def test_closing_ends_a_read_over_tls(tls: ssl.SSLContext) -> None:
    with ImageServer(DATA, tls=tls, then=Fault(stall_after=70_000)) as server:
        check_close(server, after=70_000)


# Stopping


PATIENT = HttpSettings(stall_seconds=30, waits=(30.0,))


def check_close(server: ImageServer, after: int) -> None:
    """Close from another thread while `readinto` waits for more than the first `after` bytes."""
    stream = HttpSource(server.url, settings=PATIENT).open(lambda _: None)
    view = memoryview(bytearray(1 << 20))
    caught: list[BaseException] = []
    read = 0
    while read < after:
        read += stream.readinto(view[: after - read])

    def wait() -> None:
        try:
            stream.readinto(view)
        except Cancelled as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.2)
    started = time.monotonic()
    stream.close()
    thread.join(5)
    assert time.monotonic() - started < 1
    assert [str(error) for error in caught] == [f"reading {server.url} was stopped"]


def test_closing_ends_a_read_that_waits_for_bytes() -> None:
    with ImageServer(DATA, then=Fault(stall_after=70_000)) as server:
        check_close(server, after=70_000)


def test_closing_ends_a_wait_before_the_next_try() -> None:
    with ImageServer(DATA, then=Fault(drop_after=70_000)) as server:
        check_close(server, after=70_000)


def test_closing_ends_a_wait_for_an_answer() -> None:
    server = SilentAfterOneAnswer()
    with server as url:
        quick = HttpSettings(stall_seconds=30, waits=(0.01,))
        stream = HttpSource(url, settings=quick).open(lambda _: None)
        view = memoryview(bytearray(10))
        assert stream.readinto(view) == 5
        closer = threading.Timer(0.3, stream.close)
        closer.start()
        started = time.monotonic()
        with pytest.raises(Cancelled):
            stream.readinto(view)
        assert 0.2 < time.monotonic() - started < 1.2
        closer.join()
    assert server.hung_up


class SilentAfterOneAnswer:
    """A server that gives 5 of 10 bytes, and after that takes connections and says nothing."""

    def __enter__(self) -> str:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}/a.img"

    def serve(self) -> None:
        with self.socket.accept()[0] as link:
            link.recv(4096)
            link.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: "a"\r\n\r\n12345')
        with self.socket.accept()[0] as link:
            link.recv(4096)
            self.over.wait(10)
            link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
            self.hung_up = link.recv(1) == b""  # nobody waits for this answer any more

    def __init__(self) -> None:
        self.over = threading.Event()
        self.hung_up = False

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()
        self.socket.close()


def test_a_watcher_may_stop_the_stream() -> None:
    def stop(event: Retrying) -> None:
        raise Cancelled(f"enough after {event.source_bytes} bytes")

    with ImageServer(DATA, then=Fault(drop_after=70_000)) as server:
        stream = source_of(server).open(stop)
        with pytest.raises(Cancelled) as caught:
            drain(stream)
        assert str(caught.value) == "enough after 70000 bytes"


# Files beside


def test_a_file_beside() -> None:
    with ImageServer(DATA, files={"a b.sha256": b"sums"}) as server:
        source = HttpSource(f"{server.url}?token=1", settings=FAST)

        assert source.beside("a b.sha256") == b"sums"
        assert server.seen[0].path == "/images/a%20b.sha256?token=1"
        assert source.beside("SHA256SUMS") is None


@pytest.mark.parametrize("text", [b"<!DOCTYPE html>", b" \n<html>", bytes((1 << 20) + 1)])
def test_a_file_beside_that_is_none(text: bytes) -> None:
    with ImageServer(DATA, files={"SHA256SUMS": text}) as server:
        assert source_of(server).beside("SHA256SUMS") is None


def test_a_page_in_place_of_a_file_beside() -> None:
    with ImageServer(DATA) as server:
        page = Fault(headers={"Content-Type": "Text/HTML; charset=utf-8"})
        server.answers["/images/SHA256SUMS"] = page

        assert source_of(server).beside("SHA256SUMS") is None


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_file_beside_that_may_not_be_seen(status: int) -> None:
    with ImageServer(DATA) as server:
        server.answers["/images/SHA256SUMS"] = Fault(status=status)

        assert source_of(server).beside("SHA256SUMS") is None
        assert len(server.seen) == 1


def test_a_server_that_fails_over_a_file_beside() -> None:
    with ImageServer(DATA) as server:
        server.answers["/images/SHA256SUMS"] = Fault(status=500)
        with pytest.raises(ImageUnavailable) as caught:
            source_of(server).beside("SHA256SUMS")
        assert str(caught.value) == (
            f"{server.url_of('SHA256SUMS')} cannot be read: "
            "the server answered 500 Internal Server Error"
        )
        assert len(server.seen) == 2


# Small parts


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("bytes 0-9/10", Span(0, 9, 10)),
        ("bytes 0-9/*", Span(0, 9, None)),
        ("bytes */10", Span(None, None, 10)),
        ("bytes 0-10/10", None),
        ("bytes 5-4/10", None),
        ("bytes -5/10", None),
        ("bytes \u0663-\u0664/10", None),
        (None, None),
    ],
)
def test_spans(text: str | None, span: Span | None) -> None:
    assert Span.parse(text) == span
    assert span is None or str(span) == text


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    threads = threading.active_count()
    yield
    deadline = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= threads, "a thread was left behind"
