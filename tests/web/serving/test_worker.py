"""How requests reach the threads that answer them: nobody waits for somebody else's client."""

from __future__ import annotations

import http.client
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.web.serving.server import Server, serving

SOON = 1.0  # seconds; an answer here takes some milliseconds


@contextmanager
def few_threads(folder: Path, **environ: str) -> Iterator[Server]:
    """A server with one process and four threads."""
    with serving(
        folder, "--bind", "127.0.0.1:0", "--workers", "1", BTY_THREADS="4", **environ
    ) as server:
        server.get("/healthz")  # what a first request takes longer for is done
        yield server


def connected(server: Server, said: bytes = b"") -> socket.socket:
    """Return a connection to the server on which `said` was said."""
    address = urlsplit(server.url)
    client = socket.create_connection((address.hostname, address.port), timeout=30)
    client.sendall(said)
    return client


def request(path: str = "/healthz", *, close: bool = True) -> bytes:
    """Return a request for `path`."""
    kept = "close" if close else "keep-alive"
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: {kept}\r\n\r\n".encode()


def answered(client: socket.socket) -> http.client.HTTPResponse:
    """Return the next answer on a connection, read to its end."""
    answer = http.client.HTTPResponse(client)
    answer.begin()
    answer.read()
    return answer


def seconds_of(server: Server) -> float:
    """Return how long an ordinary request takes."""
    began = time.monotonic()
    assert server.get("/healthz").status_code == 200
    return time.monotonic() - began


def test_clients_that_do_not_close_keep_nobody_waiting(tmp_path: Path) -> None:
    with few_threads(tmp_path) as server, ExitStack() as stack:
        for _ in range(12):
            client = stack.enter_context(connected(server, request()))
            assert select.select([client], [], [], SOON)[0]
        assert seconds_of(server) < SOON


def test_clients_that_say_nothing_hold_no_thread(tmp_path: Path) -> None:
    with few_threads(tmp_path) as server, ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(connected(server))
        assert seconds_of(server) < SOON
        late = stack.enter_context(connected(server))
        time.sleep(0.3)
        late.sendall(request())
        assert late.recv(12) == b"HTTP/1.1 200"


def test_clients_that_wait_between_requests_hold_no_thread(tmp_path: Path) -> None:
    with few_threads(tmp_path) as server, ExitStack() as stack:
        clients = []
        for _ in range(20):
            client = stack.enter_context(connected(server, request(close=False)))
            assert answered(client).headers["Connection"] == "keep-alive"
            clients.append(client)
        assert seconds_of(server) < SOON
        for client in clients:
            client.sendall(request(close=False))
            assert answered(client).status == 200


def test_of_too_many_kept_connections_the_oldest_goes(tmp_path: Path) -> None:
    with few_threads(tmp_path, TEST_KEPT="5") as server, ExitStack() as stack:
        clients = [stack.enter_context(connected(server)) for _ in range(8)]
        for client in clients[:2]:
            assert client.recv(1) == b""
        clients[-1].sendall(request())
        assert answered(clients[-1]).status == 200
        assert seconds_of(server) < SOON


def test_requests_sent_one_behind_the_other_are_all_answered(tmp_path: Path) -> None:
    with few_threads(tmp_path) as server, connected(server) as client:
        client.sendall(request(close=False) * 3 + request())
        answer = b""
        while data := client.recv(4096):
            answer += data
        assert answer.count(b"HTTP/1.1 200 OK") == 4


def test_a_head_that_never_ends_is_broken_off(tmp_path: Path) -> None:
    with few_threads(tmp_path, TEST_HEAD_SECONDS="1") as server, ExitStack() as stack:
        slow = [stack.enter_context(connected(server, b"GET / HT")) for _ in range(8)]
        silent = stack.enter_context(connected(server))
        for client in (*slow, silent):
            client.settimeout(10)
            assert client.recv(1) == b""
        assert seconds_of(server) < SOON


def test_an_answer_to_a_body_that_nobody_read_arrives(tmp_path: Path) -> None:
    with few_threads(tmp_path) as server:
        address = urlsplit(server.url)
        for _ in range(20):
            client = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
            client.putrequest("POST", "/pxe/52-54-00-12-34-56/progress")
            client.putheader("Content-Length", "1000000")
            client.endheaders()
            client.send(b"x" * 100_000)
            assert client.getresponse().status == 401
            client.close()


def test_threads_are_made_as_they_are_needed_and_no_more(tmp_path: Path) -> None:
    with few_threads(tmp_path) as server, ExitStack() as stack:
        streams = [stack.enter_context(connected(server, request("/forever"))) for _ in range(3)]
        for one in streams:
            assert one.recv(12) == b"HTTP/1.1 200"
        assert seconds_of(server) < SOON
        last = stack.enter_context(connected(server, request("/forever")))
        assert last.recv(12) == b"HTTP/1.1 200"
        waiting = stack.enter_context(connected(server, request()))
        assert not select.select([waiting], [], [], 0.5)[0]  # all four are taken
        last.close()
        assert answered(waiting).status == 200


def test_where_no_thread_can_be_added_those_that_are_there_go_on(tmp_path: Path) -> None:
    # Beside the main thread there are the four that are started at once.
    with serving(
        tmp_path, "--bind", "127.0.0.1:0", "--workers", "1", BTY_THREADS="8", TEST_MOST_THREADS="4"
    ) as server:
        for _ in range(3):
            with ExitStack() as stack:
                crowd = [stack.enter_context(connected(server, request("/slow"))) for _ in range(6)]
                for client in crowd:
                    assert answered(client).status == 200
        assert seconds_of(server) < SOON
