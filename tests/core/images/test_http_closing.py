"""Ending a read from another thread."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from bty_core.errors import Cancelled
from bty_core.events import Retrying
from bty_core.images.address import HttpSettings
from bty_core.images.http import HttpSource
from tests.core.images.http_checks import (
    DATA,
    check_close,
    drain,
    source_of,
)
from tests.fakes.server import Fault, ImageServer


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
