"""A file that changes while it is read, and a server that stays silent."""

from __future__ import annotations

import pytest

from bty_core.errors import ImageUnavailable
from tests.core.images.http_checks import (
    DATA,
    DROPPED,
    NETWORK,
    OLD_FILE,
    OTHER,
    RUNS,
    check_failure,
)
from tests.fakes.server import Fault, ImageChange, ImageServer


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
