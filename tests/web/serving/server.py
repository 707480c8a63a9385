"""A real `bty-web serve` in processes of its own, with routes and a worker that are made for looking."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import requests

PATIENCE = 60.0

# What stands in for the background work: it notes who it is, and that it was told to stop.
PROGRAM = """
import os, sys, threading, time, types
from pathlib import Path
import bty_web.jobs
from bty_core.errors import BtyError
from bty_web.serving import supervisor, web, worker as answering
from bty_web.stopping import STOPPING

answering.HEAD_SECONDS = float(os.environ.get("TEST_HEAD_SECONDS", answering.HEAD_SECONDS))
answering.BODY_SECONDS = int(os.environ.get("TEST_BODY_SECONDS", answering.BODY_SECONDS))
web.GRACE = supervisor.GRACE = int(os.environ.get("TEST_GRACE", web.GRACE))
answering.KEPT = int(os.environ.get("TEST_KEPT", answering.KEPT))

# So many threads can be started, then the system has no more.
most = int(os.environ.get("TEST_MOST_THREADS", 0))
begin = threading.Thread.start

def begin_or_fail(thread):
    if most and threading.active_count() > most:
        raise RuntimeError("can't start new thread")
    begin(thread)

threading.Thread.start = begin_or_fail

def run(settings, stop):
    note(f"worker {os.getpid()}")
    if os.environ.get("TEST_WORKER") == "cannot":
        raise BtyError("the queue takes nothing", hint="mend it; bty.token=" + "0" * 32)
    if os.environ.get("TEST_WORKER") == "dies":
        raise SystemExit(7)
    stop.wait()
    note("worker stopped")

def note(text):
    with open(os.environ["TEST_NOTES"], "a") as file:
        file.write(text + "\\n")

worker = types.ModuleType("bty_web.jobs.worker")
worker.run = run
sys.modules["bty_web.jobs.worker"] = bty_web.jobs.worker = worker
create = web.create_app

def create_app(settings):
    app = create(settings)
    app.add_url_rule("/slow", view_func=lambda: time.sleep(1.5) or "slow")
    app.add_url_rule("/stream", view_func=stream, endpoint="stream")
    app.add_url_rule("/forever", view_func=lambda: app.response_class(forever()), endpoint="f")
    app.add_url_rule("/pid", view_func=lambda: str(os.getpid()), endpoint="pid")
    app.add_url_rule("/crash", view_func=crash)
    return app

def crash():
    raise RuntimeError("Bearer bty_" + "s" * 43 + " and bty.token=" + "0" * 32)

def stream():
    from flask import Response
    def lines():
        yield "first\\n"
        STOPPING.wait(60)
        yield "last\\n"
    return Response(lines())

def forever():
    while True:
        yield "more\\n"
        time.sleep(0.1)

web.create_app = create_app
from bty_web.__main__ import run as bty_web
sys.argv = ["bty-web", *sys.argv[1:]]
bty_web()
"""


@dataclass
class Server:
    """A server that answers."""

    process: subprocess.Popen[str]
    url: str
    notes: Path

    def get(self, path: str, **options: object) -> requests.Response:
        """Ask it."""
        options = {"timeout": PATIENCE, **options}
        return requests.get(f"{self.url}{path}", **options)  # type: ignore[arg-type]

    def family(self) -> set[int]:
        """Return the processes below the first one."""
        return descendants(self.process.pid)

    def noted(self) -> list[str]:
        """Return what the worker wrote."""
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, float]:
        """Send a signal; return exit code, standard error, and the seconds it took."""
        started = time.monotonic()
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, err, time.monotonic() - started


def start(folder: Path, *options: str, **environ: str) -> subprocess.Popen[str]:
    """Start `bty-web serve` on a free port of this machine alone."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("BTY_")}
    env |= {"BTY_STATE_DIR": str(folder / "state"), "BTY_THREADS": "16"}
    env |= {"TEST_NOTES": str(folder / "notes"), **environ}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "serve", *(options or ("--bind", "127.0.0.1:0"))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )


@contextmanager
def serving(folder: Path, *options: str, **environ: str) -> Iterator[Server]:
    """Run a server until the block is left, and see that nothing of it stays."""
    process = start(folder, *options, **environ)
    family: set[int] = set()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("serving http://"):
            raise AssertionError(f"it did not serve: {line}{process.communicate()[1]}")
        server = Server(process, line.split()[1].rstrip("/"), folder / "notes")
        family = server.family()
        yield server
    finally:
        family |= descendants(process.pid)
        process.kill()
        process.communicate()
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> set[int]:
    """Return the processes that `pid` started, and those that they started."""
    found: set[int] = set()
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found |= {child} | descendants(child)
    return found


def wait_until(true: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Return whether it became true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return true()


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
