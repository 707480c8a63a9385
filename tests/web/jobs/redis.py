"""A Redis of our own, on a socket in a folder of the test: no port, nothing kept."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError


@contextmanager
def running() -> Iterator[str]:
    """Start it; yield the URL of its socket."""
    # A socket's path is short: pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="bty-redis-") as folder:
        socket = Path(folder) / "socket"
        process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait(socket)
            yield f"unix://{socket}"
        finally:
            process.kill()
            process.wait()


def _wait(socket: Path) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            with Redis(unix_socket_path=str(socket)) as client:
                client.ping()
            return
        except RedisError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
