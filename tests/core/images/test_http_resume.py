"""A link that breaks: the stream goes on from the last byte, or fails with a sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bty_core.events import Retrying
from bty_core.images.address import HttpSettings
from bty_core.images.http import HttpSource
from tests.core.images.http_checks import (
    DATA,
    DROPPED,
    Retries,
    fetch,
    source_of,
)
from tests.fakes.server import Fault, ImageServer


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
