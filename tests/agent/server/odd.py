"""A server that answers what it is told: for what a healthy one never does."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Said:
    """One answer: `body` is sent after `wait` seconds; `cut` drops the connection after so many bytes of it."""

    status: int = 200
    body: object = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    cut: int | None = None
    drip: float = 0.0  # seconds between two bytes

    @property
    def bytes(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Odd(http.server.ThreadingHTTPServer):
    """Answers with `said`, one after the other; the last one stays. Notes what it was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *said: Said, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.said = list(said) or [Said()]
        self.answers: dict[str, Said] = {}  # by the last part of the path, in place of those
        self.asked: list[tuple[str, str, object]] = []  # method, path, body
        self.times: list[float] = []
        self.tokens: list[str | None] = []
        self.ended = threading.Event()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def take(self) -> Said:
        with self.lock:
            return self.said.pop(0) if len(self.said) > 1 else self.said[0]

    def bodies(self, what: str) -> list[dict[str, object]]:
        """Return the messages of one kind."""
        return [
            body
            for _, path, body in list(self.asked)
            if path.endswith(f"/{what}") and isinstance(body, dict)
        ]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Odd

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        text = self.rfile.read(length)
        self.server.tokens.append(self.headers.get("Authorization"))
        self.server.times.append(time.monotonic())
        self.server.asked.append((self.command, self.path, json.loads(text) if text else None))
        said = self.server.answers.get(self.path.rpartition("/")[2]) or self.server.take()
        if self.server.ended.wait(said.wait):
            return
        with suppress(OSError):
            self.send_response_only(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said.bytes)))
            self.end_headers()
            body = said.bytes[: said.cut]
            for at in range(0, len(body), 1 if said.drip else max(1, len(body))):
                self.wfile.write(body[at:] if not said.drip else body[at : at + 1])
                if self.server.ended.wait(said.drip):
                    return


@contextmanager
def odd(*said: Said, port: int = 0) -> Iterator[Odd]:
    """Run such a server until the block is left."""
    server = Odd(*said, port=port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
