"""A network between a machine and its server, which a test can slow down, break and mend."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_STEP = 1 << 16


class Link:
    """Passes connections on to `port`. All of it may be changed while it runs."""

    def __init__(self, port: int) -> None:
        self.down = False  # connections are closed as soon as they come, and those that are there
        self.deaf_to: bytes | None = None  # requests with this in their first line are closed
        self.image_bytes: int | None = (
            None  # so many bytes of one answer with an image pass, and no more yet
        )
        self.requests: list[str] = []
        self._port = port
        self._ended = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self._thread = threading.Thread(target=self._listen, daemon=True)

    @property
    def url(self) -> str:
        host, port = self._listener.getsockname()
        return f"http://{host}:{port}"

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended = True
        self._thread.join()
        self._listener.close()

    def _listen(self) -> None:
        while not self._ended:
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        with near, suppress(OSError):
            near.settimeout(30)
            request = near.recv(_STEP)
            line = request.partition(b"\r\n")[0]
            if self.down or (self.deaf_to and self.deaf_to in line):
                return
            self.requests.append(line.decode())
            with socket.create_connection(("127.0.0.1", self._port)) as far:
                far.sendall(request)
                back = threading.Thread(target=self._pump, args=(near, far), daemon=True)
                back.start()
                self._answer(far, near, image=line.startswith(b"GET /images/"))
                with suppress(OSError):
                    near.shutdown(socket.SHUT_RDWR)
                back.join()

    def _pump(self, source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_STEP):
                to.sendall(data)

    def _answer(self, far: socket.socket, near: socket.socket, *, image: bool) -> None:
        far.settimeout(0.05)
        passed = 0
        while not (self.down or self._ended):
            if image and self.image_bytes is not None and passed >= self.image_bytes:
                time.sleep(0.01)
                continue
            try:
                data = far.recv(_STEP)
            except TimeoutError:
                continue
            if not data:
                return
            near.sendall(data)
            passed += len(data)


@contextmanager
def link(url: str) -> Iterator[Link]:
    """Put a link in front of a server until the block is left."""
    made = Link(int(url.rpartition(":")[2]))
    made.start()
    try:
        yield made
    finally:
        made.end()
