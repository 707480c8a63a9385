"""The process that does background work: it takes jobs from the queue and looks after the clock."""

from __future__ import annotations

import threading

from huey.consumer import Consumer

from bty_web.database import make_engine
from bty_web.jobs.clock import Clock
from bty_web.jobs.queue import queue_of
from bty_web.jobs.work import Work
from bty_web.settings import Settings

THREADS = 2  # jobs at a time: measuring an image fills a core
POLL = 1.0  # seconds between two looks into a queue in a file, at most
HEALTH = 10.0  # seconds between two looks at huey's threads
LONGEST_STOP = 8.0  # seconds that work has to be given back in


class _Consumer(Consumer):  # type: ignore[misc] # huey has no types
    def _set_signal_handlers(self) -> None:
        """Leave signals to the program."""


def run(settings: Settings, stop: threading.Event) -> None:
    """Do background work until `stop`; what is half done is given back to others. Raises `BrokenSetting`."""
    queue = queue_of(settings)
    engine = make_engine(settings)
    work = Work(settings, engine, stop)
    queue.perform = work.perform
    consumer = _Consumer(
        queue.huey, workers=THREADS, periodic=False, max_delay=POLL, shutdown_timeout=LONGEST_STOP
    )
    clock = threading.Thread(
        target=Clock(settings, engine, work.owner).run, args=(stop,), name="clock"
    )
    consumer.start()
    clock.start()
    try:
        while not stop.wait(HEALTH):
            consumer.check_worker_health()
    finally:
        stop.set()
        consumer.stop(graceful=True)
        work.close()
        clock.join()
        engine.dispose()
        queue.huey.storage.close()
