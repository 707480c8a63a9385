"""A real `bty flash` in a process of its own, and a server that keeps it waiting."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.images import MIB


class Slow(http.server.ThreadingHTTPServer):
    """Serves one image, its first `fast` bytes at once and the rest drop by drop; `fast` may grow meanwhile."""

    daemon_threads = True
    data = b""
    fast = 0
    ended = False


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Slow

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if not self.path.endswith("/disk.img"):
            self.send_error(404)
            return
        data = self.server.data
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        at = 0
        while at < len(data) and not self.server.ended:
            step = min(MIB, max(0, self.server.fast - at), len(data) - at)
            try:
                self.wfile.write(data[at : at + step])
            except OSError:
                return
            at += step
            time.sleep(0 if step else 0.01)


@contextmanager
def slow_server(data: bytes, fast: int) -> Iterator[tuple[Slow, str]]:
    """Serve `data`; everything behind its first `fast` bytes never comes."""
    server = Slow(("127.0.0.1", 0), _Handler)
    server.data, server.fast = data, fast
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}/disk.img"
    finally:
        server.ended = True
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def flashing(image: str | Path, disk: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the program until the block is left."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "bty_agent", "flash", "--yes", "--progress", "ndjson"),
            *("--image", str(image), "--target", str(disk)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(process: subprocess.Popen[str], *what: str) -> None:
    """Read events until one holds all of `what`."""
    assert process.stdout is not None
    for line in process.stdout:
        if all(word in line for word in what):
            return
    assert process.stderr is not None
    raise AssertionError(f"it ended before: {process.stderr.read()}")
