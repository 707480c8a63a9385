"""The first process of `bty-web serve`: it starts the others, watches them, and ends them together."""

from __future__ import annotations

import os
import resource
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from bty_web.errors import BrokenSetting
from bty_web.serving.child import Child
from bty_web.serving.listen import listen, listen_for_proxy, url
from bty_web.serving.web import GRACE, Web
from bty_web.serving.work import work
from bty_web.settings import Settings

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LONGEST_PAUSE = 60.0  # seconds between two starts of a worker that keeps dying
_STEADY = 60.0  # seconds after which a worker counts as healthy

Say = Callable[[str], None]


def serve(settings: Settings, *, told: Say, say: Say) -> int:
    """Serve until a signal says to stop; return the exit code. `told` gets the address once it answers.

    Settings were looked at and the database is up to date. Raises `CannotListen`.
    """
    _allow_many_files()
    with (
        _hearing() as heard,
        listen(settings.bind) as listening,
        listen_for_proxy(settings.pages_socket) as pages,
    ):
        address = url(listening)
        ready, write_ready = os.pipe()
        doors = [one for one in (listening, pages) if one is not None]
        web = Child(lambda: Web(settings, [one.detach() for one in doors], write_ready).serve())
        # The kernel would go on accepting for us after the web processes have closed theirs.
        for one in doors:
            one.close()
        os.close(write_ready)
        running = _Running(settings, web, say)
        try:
            os.set_blocking(ready, False)
            running.until(lambda: bool(heard) or _said(ready), every=0.05)
            if web.ended():
                raise BrokenSetting(
                    "the web processes could not start", hint="the lines above say why"
                )
            if not heard:
                told(address)
            running.until(lambda: bool(heard))
        finally:
            os.close(ready)
            running.stop(heard)
        return 0 if heard else 1


class _Running:
    """The processes, and the pause before a dead worker is started again."""

    def __init__(self, settings: Settings, web: Child, say: Say) -> None:
        self.settings = settings
        self.web = web
        self.say = say
        self.embedded = not settings.queue_url
        self.worker: Child | None = None
        self.started = 0.0
        self.pause = 0.0

    def until(self, over: Callable[[], bool], every: float = 1.0) -> None:
        """Keep the worker alive until `over`, or until the web processes have ended."""
        while not over() and not self.web.ended():
            self._look_after_worker()
            _wait_for_signal(every)

    def _look_after_worker(self) -> None:
        if not self.embedded:
            return
        now = time.monotonic()
        if self.worker is not None:
            if not self.worker.ended():
                return
            lived = now - self.started
            self.pause = 0.5 if lived > _STEADY else min(_LONGEST_PAUSE, max(0.5, self.pause * 2))
            self.say(
                f"bty-web: the worker ended ({_how(self.worker.status)});"
                f" it is started again in {self.pause:g} s"
            )
            self.worker = None
            self.started = now + self.pause
        if now >= self.started:
            self.worker = Child(lambda: work(self.settings))
            self.started = now

    def stop(self, heard: list[int]) -> None:
        """End all processes: first they may finish, then they must. A second signal leaves them no time."""
        children = [child for child in (self.worker, self.web) if child is not None]
        for child in children:
            child.send(signal.SIGTERM)
        wishes = len(heard)
        end = time.monotonic() + GRACE + 3
        while not all(child.ended() for child in children):
            if time.monotonic() > end or len(heard) > wishes:
                break
            _wait_for_signal(0.1)
        for child in children:
            # The workers of a web process that is killed are ended by the kernel, as it was told.
            child.send(signal.SIGKILL)
        while not all(child.ended() for child in children):
            time.sleep(0.02)


def _how(status: int | None) -> str:
    if status is not None and status < 0:
        with suppress(ValueError):
            return f"signal {signal.Signals(-status).name}"
    return f"status {status}"


def _said(ready: int) -> bool:
    try:
        return bool(os.read(ready, 1))
    except BlockingIOError:
        return False


def _wait_for_signal(seconds: float) -> None:
    """Wait, shorter where a signal comes or a child ends."""
    select.select([_WAKE[0]], [], [], seconds)
    with suppress(BlockingIOError):
        os.read(_WAKE[0], 4096)


_WAKE = [-1, -1]  # a pipe that Python writes each signal's number into


@contextmanager
def _hearing() -> Iterator[list[int]]:
    """Collect the signals that say to stop; restore their handlers afterwards."""
    heard: list[int] = []

    def hear(number: int, _frame: FrameType | None) -> None:
        heard.append(number)

    before = {
        number: signal.signal(number, hear)
        for number in _SIGNALS
        # What nohup has switched off stays off.
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
    }
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
    _WAKE[:] = os.pipe()
    for end in _WAKE:
        os.set_blocking(end, False)
    old = signal.set_wakeup_fd(_WAKE[1], warn_on_full_buffer=False)
    try:
        yield heard
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        for end in _WAKE:
            os.close(end)


def _allow_many_files() -> None:
    """Take as many open files as the system allows: each connection and each download is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
