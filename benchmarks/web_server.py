"""A server of its own for a benchmark, on loopback, and its memory."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from bty_web import database
from bty_web.models import User
from bty_web.services import users
from bty_web.services.clock import now
from bty_web.services.history import BTY
from bty_web.settings import Settings

PATIENCE = 30.0


class Server:
    """`bty-web serve` on a free port of loopback, ended with the block."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.port = 0
        self.pid = 0

    def __enter__(self) -> Server:
        environ = {**os.environ, "BTY_STATE_DIR": str(self.settings.state_dir)}
        words = [sys.executable, "-m", "bty_web", "serve", "--bind", "127.0.0.1:0"]
        self._log = (self.settings.state_dir / "serve.log").open("w+b")
        self._process = subprocess.Popen(
            words, env=environ, stdout=self._log, stderr=self._log, start_new_session=True
        )
        self.pid = self._process.pid
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self._process.poll() is None:
            said = Path(self._log.name).read_text("utf-8", "replace")
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", said):
                self.port = int(found[1])
                return self
            time.sleep(0.1)
        self.__exit__(None, None, None)
        raise SystemExit("the server did not start:\n" + Path(self._log.name).read_text())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._log.close()

    def cookie(self) -> str:
        """Return the cookie of a person who has logged in."""
        from bty_web.app import create_app

        engine = database.make_engine(self.settings)
        with database.working(engine) as session:
            user: User = users.create(session, "bench", "bench bench", by=BTY, now=now())
            kept = user.get_id()
        engine.dispose()
        app = create_app(self.settings)
        client = app.test_client()
        with client.session_transaction("/ui/") as session_cookie:
            session_cookie["_user_id"] = kept
            session_cookie["_fresh"] = True
        found = client.get_cookie("bty")
        assert found is not None
        return f"bty={found.value}"


def memory_mib(pid: int) -> list[float]:
    """Return the resident memory of a process and of all below it, in MiB."""
    found = []
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        try:
            status = Path(f"/proc/{one}/status").read_text()
            below = Path(f"/proc/{one}/task/{one}/children").read_text().split()
        except OSError:
            continue
        waiting += map(int, below)
        if size := re.search(r"VmRSS:\s*(\d+) kB", status):
            found.append(int(size[1]) / 1024)
    return found
