"""`bty-web serve` as a person starts it: it listens, it answers, it ends, and nothing stays behind."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from bty_web.serving.logs import redacted
from tests.web import postgres
from tests.web.cli.running import bty_web
from tests.web.serving.server import Server, alive, serving, start, wait_until

AT_ONCE = 40.0  # seconds: however busy this computer is, less than what has to be waited for


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that would wait 50 seconds for what does not end by itself."""
    with serving(tmp_path, TEST_GRACE="50") as running:
        yield running


def test_it_answers_in_several_processes_and_says_little_of_itself(server: Server) -> None:
    answer = server.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["Server"] == "bty"
    assert answer.headers["Connection"] == "keep-alive"
    assert wait_until(lambda: len({server.get("/pid").text for _ in range(8)}) == 2)


@pytest.mark.postgresql
def test_it_serves_from_postgresql(tmp_path: Path, cluster: postgres.Cluster) -> None:
    with (
        cluster.empty(template="template1") as url,
        serving(tmp_path, BTY_DATABASE_URL=url) as server,
    ):
        assert server.get("/pxe/52-54-00-12-34-56").text.startswith("#!ipxe\n")
        assert not (tmp_path / "state/bty.db").exists()
        server.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=str)
def test_a_signal_ends_it_and_all_that_it_started(server: Server, number: signal.Signals) -> None:
    family = server.family()
    assert wait_until(lambda: len(server.noted()) == 1)
    code, err, seconds = server.end(number)
    assert (code, "Traceback" in err) == (0, False)
    assert seconds < AT_ONCE
    assert server.noted()[1:] == ["worker stopped"]
    assert [pid for pid in family if alive(pid)] == []


def test_killed_outright_it_takes_its_children_along(server: Server) -> None:
    # gunicorn, two that answer, the worker
    assert wait_until(lambda: len(server.family()) == 4)
    family = server.family()
    server.end(signal.SIGKILL)
    assert wait_until(lambda: not any(map(alive, family)), 15), "some process stayed"


def test_a_running_request_is_answered_and_a_new_one_is_not(server: Server) -> None:
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(server.get("/slow").text))
    asking.start()
    time.sleep(0.5)
    code, _, seconds = server.end()
    asking.join()
    assert (code, answers) == (0, ["slow"])
    assert 0.5 < seconds < AT_ONCE
    with pytest.raises(requests.ConnectionError):
        server.get("/healthz")


def test_an_event_stream_ends_at_once(server: Server) -> None:
    with server.get("/stream", stream=True) as answer:
        lines = answer.iter_lines()
        assert next(lines) == b"first"
        code, _, seconds = server.end()
        assert (code, list(lines)) == (0, [b"last"])
    assert seconds < AT_ONCE


def test_a_request_that_never_ends_does_not_keep_it(tmp_path: Path) -> None:
    with serving(tmp_path) as server, server.get("/forever", stream=True) as answer:
        lines = answer.iter_lines()
        assert next(lines) == b"more"
        code, _, seconds = server.end()
    assert code == 0
    assert 4 < seconds < AT_ONCE


def test_a_worker_that_dies_is_started_again(server: Server) -> None:
    assert wait_until(lambda: len(server.noted()) == 1)
    first = int(server.noted()[0].split()[1])
    os.kill(first, signal.SIGKILL)
    assert wait_until(lambda: len(server.noted()) == 2)
    second = int(server.noted()[1].split()[1])
    assert (alive(first), alive(second)) == (False, True)
    assert server.get("/healthz").status_code == 200
    _, err, _ = server.end()
    assert "bty-web: the worker ended (signal SIGKILL); it is started again in 0.5 s\n" in err


def test_a_worker_that_keeps_dying_is_given_longer_pauses(tmp_path: Path) -> None:
    with serving(tmp_path, TEST_WORKER="dies") as server:
        assert wait_until(lambda: len(server.noted()) == 3)
        _, err, _ = server.end()
    said = [line for line in err.splitlines() if line.startswith("bty-web: the worker ended")]
    assert said[:2] == [
        f"bty-web: the worker ended (status 7); it is started again in {pause} s"
        for pause in ("0.5", "1")
    ]


def test_why_a_worker_cannot_work_is_said(tmp_path: Path) -> None:
    with serving(tmp_path, TEST_WORKER="cannot") as server:
        assert wait_until(lambda: len(server.noted()) == 2)
        _, err, _ = server.end()
    assert "bty-web: the queue takes nothing\nhint: mend it; bty.token=[redacted]\n" in err


def test_with_a_queue_elsewhere_it_runs_no_worker(tmp_path: Path) -> None:
    process = start(tmp_path, BTY_QUEUE_URL="redis://127.0.0.1:1/0")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (5, "")
    assert err.startswith("bty-web: the queue redis://127.0.0.1:1/0 cannot be reached: ")
    assert "\nhint: check BTY_QUEUE_URL, and that the Redis there runs\n" in err


def test_a_port_that_is_taken_is_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = start(tmp_path, "--bind", f"127.0.0.1:{port}")
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (5, "")
    assert err.splitlines()[-2:] == [
        f"bty-web: cannot listen on 127.0.0.1:{port}: address already in use",
        "hint: is a server running there already? another address is taken with --bind or BTY_BIND",
    ]


def test_it_listens_on_ipv6(tmp_path: Path) -> None:
    with serving(tmp_path, "--bind", "[::1]:0", "--workers", "1") as server:
        assert server.url.startswith("http://[::1]:")
        assert server.get("/healthz").status_code == 200


def test_on_every_address_it_names_one_that_others_can_reach(tmp_path: Path) -> None:
    with serving(tmp_path, "--bind", ":0", "--workers", "1") as server:
        assert "0.0.0.0" not in server.url
        assert server.get("/healthz").status_code == 200


def test_while_it_runs_no_backup_is_restored(server: Server, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BTY_STATE_DIR", str(tmp_path / "state"))
        made = bty_web("backup", tmp_path / "bty.tar.gz")
        assert made.code == 0
        assert made.said[1].startswith("bty-web: images are not in it")
        ran = bty_web("restore", tmp_path / "bty.tar.gz")
        assert (ran.code, ran.said) == (
            5,
            [
                f"bty-web: a server or worker runs on {tmp_path / 'state'}",
                "hint: stop it and try again",
            ],
        )
        server.end()
        assert bty_web("restore", tmp_path / "bty.tar.gz").code == 0


def test_a_traceback_in_the_log_has_no_token(server: Server) -> None:
    assert server.get("/crash").status_code == 500
    _, err, _ = server.end()
    assert "RuntimeError: Bearer [redacted] and bty.token=[redacted]" in err
    assert "sss" not in err
    assert "000" not in err


def test_a_header_of_a_stranger_does_not_change_the_scheme(server: Server) -> None:
    said = server.get("/pxe-bootstrap.ipxe", headers={"X-Forwarded-Proto": "https"}).text
    assert "https:" not in said


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]"),
        ("GET /x?password=sesame&a=1", "GET /x?password=[redacted]&a=1"),
        ("sha256 " + "0" * 64, "sha256 " + "0" * 64),
        ("image bty_web.img", "image bty_web.img"),
    ],
)
def test_what_is_a_secret_in_a_log(given: str, shown: str) -> None:
    assert redacted(given) == shown


def test_a_process_stays_small_under_load(tmp_path: Path) -> None:
    """The limit is 150 MiB for each process that answers, after a storm with many threads at once."""
    with serving(tmp_path, BTY_THREADS="256") as server:
        pids = {server.get("/pid").text for _ in range(16)}

        def storm() -> None:
            for number in range(20):
                server.get(f"/pxe/52-54-00-00-00-{number:02x}")

        threads = [threading.Thread(target=storm) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sizes = {pid: resident(pid) for pid in pids}
    assert max(sizes.values()) < 150


def resident(pid: str) -> float:
    """Return the MiB of memory that a process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
