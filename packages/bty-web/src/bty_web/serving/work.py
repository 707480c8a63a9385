"""The process that does the background work."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from bty_web.serving.logs import to_stderr
from bty_web.settings import Settings


def work(settings: Settings) -> int:
    """Do background work until SIGTERM or SIGINT."""
    from bty_web.jobs import worker

    to_stderr()
    stop = threading.Event()

    def wish(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, wish)
    worker.run(settings, stop)
    return 0
