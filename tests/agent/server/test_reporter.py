"""Reports from the thread beside a flash: to a real server, and to one that stalls, drops, refuses or is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from bty_agent.server.client import ServerClient
from bty_agent.server.errors import AttemptOver, TokenRefused
from bty_agent.server.reporter import Reporter
from bty_agent.server.timing import Timing
from bty_core.errors import Cancelled
from bty_core.events import Progress, Started, Synced, Verifying
from bty_core.wire.reports import DoneReport, FailedReport
from bty_web.models.words import State
from tests.agent.server.fleet import Fleet, fleet
from tests.agent.server.odd import Odd, Said, odd
from tests.web.serving.server import wait_until
from tests.web.site import MAC

QUICK = Timing().times(0.02)
STARTED = Started(
    image="http://server/i", disk="/dev/sda", remote=True, source_total_bytes=10, total_bytes=100
)
DONE = DoneReport(image="debian.img", disk="/dev/sda", bytes_written=10, seconds=1.0)
FAILED = FailedReport(code="write-failed", message="no")
ON = Said(body={"cancel": False})
OVER = Said(status=409, body={"detail": "attempt 7 was superseded", "code": "attempt-ended"})
TURN = Said(body={"cancel": False, "queue_position": 2, "ask_again_seconds": 3})


def written(count: int) -> Progress:
    return Progress(
        source_bytes=count // 10,
        disk_bytes=count,
        total_bytes=100,
        source_seconds=count / 10,
        decode_seconds=0,
        disk_seconds=0,
    )


def client_of(server: Odd, timeout: float = 0.3) -> ServerClient:
    return ServerClient(server.url, MAC, token="7-t", attempt=7, timeout=timeout)


def phases(server: Odd) -> list[object]:
    return [body["phase"] for body in server.bodies("progress")]


@pytest.fixture
def cancel() -> threading.Event:
    return threading.Event()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("server")) as made:
        yield made


def test_a_real_server_follows_a_flash_to_its_end(running: Fleet, cancel: threading.Event) -> None:
    client = ServerClient(running.url, MAC)
    client.open_attempt("tty1")
    with Reporter(client, cancel=cancel, timing=QUICK) as reporter:
        reporter.waiting()
        assert running.hears(State.QUEUED)
        reporter.emit(STARTED)
        reporter.emit(written(50))
        assert running.hears(State.RUNNING)
        assert wait_until(lambda: running.attempt().disk_bytes == 50)
        reporter.emit(Verifying(disk_bytes=10, total_bytes=100))
        assert running.hears(State.VERIFYING)
        assert reporter.finish(DONE, 5, lambda _number, _why: None)
    assert running.state() is State.DONE
    assert not cancel.is_set()


def test_a_cancel_of_a_real_server_sets_the_event(running: Fleet, cancel: threading.Event) -> None:
    client = ServerClient(running.url, MAC)
    client.open_attempt("tty1")
    with Reporter(client, cancel=cancel, timing=QUICK) as reporter:
        reporter.emit(STARTED)
        assert running.hears(State.RUNNING)
        running.cancel()
        assert cancel.wait(10)
        assert isinstance(reporter.stopped_by, Cancelled)
        stopped = FailedReport(code="cancelled", message="an operator cancelled this attempt")
        assert reporter.give_up(stopped, 5, lambda _number, _why: None)
    assert running.state() is State.CANCELLED


def test_reports_are_two_a_second_at_most_and_the_newest_is_always_among_them(
    cancel: threading.Event,
) -> None:
    with odd(ON) as server:
        timing = Timing(gap=0.2, alive=5)
        with Reporter(client_of(server), cancel=cancel, timing=timing) as reporter:
            reporter.emit(STARTED)
            for count in range(100):
                reporter.emit(written(count))
                time.sleep(0.01)
            assert wait_until(lambda: server.bodies("progress")[-1]["disk_bytes"] == 99, 5)
        gaps = [
            after - before for before, after in zip(server.times, server.times[1:], strict=False)
        ]
        assert 3 <= len(server.times) <= 9
        assert min(gaps) > 0.15


def test_there_is_a_sign_of_life_when_nothing_happens(cancel: threading.Event) -> None:
    with odd(ON) as server:
        timing = Timing(gap=0.01, alive=0.1, thinking=0.6)
        with Reporter(client_of(server), cancel=cancel, timing=timing) as reporter:
            reporter.waiting()
            time.sleep(1.0)
            assert phases(server) == ["waiting"] * 2
            reporter.emit(STARTED)
            time.sleep(1.0)
            assert phases(server)[2:].count("writing") >= 5


def test_each_report_says_what_goes_where_and_which_try_it_is(cancel: threading.Event) -> None:
    with (
        odd(ON) as server,
        Reporter(client_of(server), cancel=cancel, timing=QUICK) as reporter,
    ):
        reporter.about(image="debian.img", console="tty1")
        reporter.retrying(2)
        assert wait_until(lambda: phases(server) == ["retrying"], 5)
        reporter.emit(STARTED)
        reporter.emit(Synced(disk_bytes=100))
        assert wait_until(lambda: phases(server)[-1] == "finishing", 5)
        body = server.bodies("progress")[-1]
        assert (body["try"], body["image"], body["console"]) == (2, "debian.img", "tty1")
        assert body["disk_bytes"] == 100


@pytest.mark.parametrize(
    "trouble",
    [
        Said(status=500),
        Said(status=503, body={"detail": "no database"}),
        Said(body=ON.body, wait=1.0),
        Said(body=ON.body, cut=2),
        Said(body=b"<html>"),
    ],
    ids=["500", "503", "stalls", "drops", "rubbish"],
)
def test_trouble_stops_nothing_and_is_over_when_the_server_is_back(
    trouble: Said, cancel: threading.Event
) -> None:
    with odd(trouble, trouble, ON) as server:
        with Reporter(client_of(server), cancel=cancel, timing=QUICK) as reporter:
            started = time.monotonic()
            reporter.emit(STARTED)
            assert time.monotonic() - started < 0.1
            assert wait_until(lambda: reporter.unreachable_since is not None, 5)
            assert reporter.reported is None
            assert wait_until(lambda: reporter.reported is not None, 5)
            assert reporter.unreachable_since is None
            assert reporter.stopped_by is None
        assert not cancel.is_set()


def test_a_server_that_was_away_hears_the_newest(cancel: threading.Event) -> None:
    with odd() as server:
        port = server.server_port
    client = ServerClient(f"http://127.0.0.1:{port}", MAC, token="7-t", timeout=0.3)
    with Reporter(client, cancel=cancel, timing=QUICK) as reporter:
        reporter.emit(STARTED)
        assert wait_until(lambda: reporter.unreachable_since is not None, 5)
        reporter.emit(written(70))
        with odd(ON, port=port) as server:
            assert wait_until(lambda: bool(server.bodies("progress")), 5)
            assert server.bodies("progress")[0]["disk_bytes"] == 70


def test_an_attempt_that_is_over_stops_the_flash(cancel: threading.Event) -> None:
    with odd(OVER) as server, Reporter(client_of(server), cancel=cancel, timing=QUICK) as reporter:
        reporter.emit(STARTED)
        assert cancel.wait(5)
        assert isinstance(reporter.stopped_by, AttemptOver)
        reporter.emit(written(1))
        time.sleep(0.3)
        assert len(server.asked) == 1


def test_a_token_that_is_refused_ends_the_reports_and_not_the_flash(
    cancel: threading.Event,
) -> None:
    forged = Said(status=401, body={"detail": "forged"})
    with (
        odd(forged) as server,
        Reporter(client_of(server), cancel=cancel, timing=QUICK) as reporter,
    ):
        reporter.emit(STARTED)
        assert wait_until(lambda: isinstance(reporter.over, TokenRefused), 5)
        assert not cancel.is_set()
        assert reporter.stopped_by is None


def test_a_turn_is_waited_for_and_each_place_is_told_once(cancel: threading.Event) -> None:
    places: list[int] = []
    next_one = Said(body={"queue_position": 1, "ask_again_seconds": 3})
    with (
        odd(TURN, TURN, Said(status=500), next_one, ON) as server,
        Reporter(client_of(server), cancel=cancel, timing=QUICK) as reporter,
    ):
        reporter.wait_for_turn(places.append)
        assert phases(server) == ["queued"] * 5
    assert places == [2, 1]


def test_who_waits_for_a_turn_hears_a_cancel_within_a_moment(cancel: threading.Event) -> None:
    with (
        odd(TURN, Said(body={"cancel": True})) as server,
        Reporter(client_of(server), cancel=cancel, timing=QUICK) as reporter,
        pytest.raises(Cancelled, match="an operator"),
    ):
        reporter.wait_for_turn(lambda _place: None)


def test_who_waits_for_a_turn_can_be_interrupted(cancel: threading.Event) -> None:
    threading.Timer(0.2, cancel.set).start()
    with (
        odd(TURN) as server,
        Reporter(client_of(server), cancel=cancel) as reporter,
        pytest.raises(Cancelled, match="interrupted"),
    ):
        reporter.wait_for_turn(lambda _place: None)


def test_an_attempt_that_is_over_gets_no_turn(cancel: threading.Event) -> None:
    with (
        odd(OVER) as server,
        Reporter(client_of(server), cancel=cancel, timing=QUICK) as reporter,
        pytest.raises(AttemptOver),
    ):
        reporter.wait_for_turn(lambda _place: None)


def test_a_server_without_a_queue_lets_everybody_begin(cancel: threading.Event) -> None:
    unknown = Said(status=422, body={"detail": "'phase' must be one of …"})
    with (
        odd(unknown) as server,
        Reporter(client_of(server), cancel=cancel, timing=QUICK) as reporter,
    ):
        reporter.wait_for_turn(lambda _place: None)
        assert len(server.asked) == 1


@pytest.mark.parametrize("what", ["done", "failed"])
def test_the_end_is_said_until_the_server_has_it(what: str, cancel: threading.Event) -> None:
    heard: list[tuple[int, str]] = []
    away = Said(status=503, body={"detail": "the database is away"})
    with (
        odd(away, away, Said(body={"status": "ok"})) as server,
        Reporter(client_of(server), cancel=cancel, timing=QUICK) as reporter,
    ):
        if what == "done":
            assert reporter.finish(DONE, 5, lambda *said: heard.append(said))
        else:
            assert reporter.give_up(FAILED, 5, lambda *said: heard.append(said))
        assert [path.rpartition("/")[2] for _, path, _ in server.asked] == [what] * 3
        assert reporter.unreachable_since is None
    assert [number for number, _ in heard] == [1, 2]
    assert "the database is away" in heard[0][1]


def test_who_cannot_say_the_end_gives_signs_of_life_meanwhile(cancel: threading.Event) -> None:
    with (
        odd(ON) as server,
        Reporter(client_of(server), cancel=cancel, timing=QUICK) as reporter,
    ):
        server.answers["done"] = Said(status=503)
        reporter.emit(STARTED)
        reporter.emit(Synced(disk_bytes=100))
        assert not reporter.finish(DONE, 1.0, lambda _number, _why: None)
        assert phases(server)[-1] == "finishing"
        assert len(server.bodies("progress")) > 3
        told = len(server.asked)
        time.sleep(0.5)
        assert len(server.asked) == told


def test_the_end_is_said_for_a_limited_time(cancel: threading.Event) -> None:
    with (
        odd(Said(status=500)) as server,
        Reporter(client_of(server), cancel=cancel, timing=QUICK) as reporter,
    ):
        started = time.monotonic()
        assert not reporter.finish(DONE, 0.5, lambda _number, _why: None)
        assert time.monotonic() - started < 2
        assert reporter.unreachable_since is not None


def test_an_end_that_is_refused_is_not_said_again(cancel: threading.Event) -> None:
    with odd(OVER) as server, Reporter(client_of(server), cancel=cancel, timing=QUICK) as reporter:
        assert not reporter.finish(DONE, 60, lambda _number, _why: None)
        assert isinstance(reporter.over, AttemptOver)
        assert len(server.asked) == 1
