"""The server as it runs in production: gunicorn, two workers with threads, on loopback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bty_web.settings import Settings

_PROGRAM = """
import sys
from pathlib import Path
from bty_web.serving.listen import listen
from bty_web.serving.web import Web
from bty_web.settings import Bind, Settings
settings = Settings(
    state_dir=Path(sys.argv[1]), event_streams=int(sys.argv[2]), database_url=sys.argv[3],
    bind=Bind("127.0.0.1", 0), workers=2, threads=16,
)
socket = listen(settings.bind)
print(socket.getsockname()[1], flush=True)
Web(settings, [socket.detach()], 1).serve()
"""


@dataclass
class Server:
    """A server that runs; `stop` ends it as an administrator would."""

    url: str
    process: subprocess.Popen[str]

    def stop(self) -> int:
        """Ask it to end and wait until it has."""
        self.process.terminate()
        return self.process.wait(20)


@contextmanager
def running(settings: Settings, *, event_streams: int = 64) -> Iterator[Server]:
    """Start a server for `settings`; its database must be there."""
    given = [str(settings.state_dir), str(event_streams), settings.database_url]
    words = [sys.executable, "-c", _PROGRAM, *given]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            assert process.stdout.read(2) == "++"  # both workers answer
            yield Server(f"http://127.0.0.1:{port}", process)
        finally:
            if process.poll() is None:
                process.kill()
