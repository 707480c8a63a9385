"""Doing one job: claimed, kept by a heartbeat, ended once."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from bty_core.errors import BtyError, Cancelled
from bty_web.database import working
from bty_web.jobs import convert, fetch, measure, online, probing
from bty_web.jobs.task import Task
from bty_web.models import Job
from bty_web.services import clock, jobs, preferences, runs
from bty_web.settings import Settings

HEARTBEAT = 1.0  # seconds; also how often pages hear of progress
KINDS: dict[str, Callable[[Settings, Engine, Task], None]] = {
    "measure": measure.run,
    "convert": convert.run,
    "import": fetch.run,
    "probe": probing.run,
    runs.JOB: online.run,
}
# They wait for machines most of the time, and keep nobody else from working.
PATIENT = frozenset({runs.JOB})
PATIENT_AT_ONCE = 32
_log = logging.getLogger(__name__)


def owner_here() -> str:
    """Return a name for this process that no other one has, on any host."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"


class Work:
    """What one worker process does with the numbers that come out of the queue."""

    def __init__(self, settings: Settings, engine: Engine, stop: threading.Event) -> None:
        self.settings = settings
        self.engine = engine
        self.stop = stop
        self.owner = owner_here()
        self._patient = ThreadPoolExecutor(PATIENT_AT_ONCE, thread_name_prefix="patient")

    def perform(self, number: int) -> None:
        """Do a job if nobody else does, now, or beside others where it is a patient one."""
        with working(self.engine) as session:
            kind = session.scalar(select(Job.kind).where(Job.id == number))
        if kind in PATIENT:
            self._patient.submit(self._perform, number)
        else:
            self._perform(number)

    def close(self, *, drop: bool = True) -> None:
        """Wait for the jobs that go on beside others; with `drop`, those that have not begun are left to others."""
        self._patient.shutdown(wait=True, cancel_futures=drop)

    def _perform(self, number: int) -> None:
        """Do a job if nobody else does; whatever happens, its row says how it ended."""
        owner = f"{self.owner}:{threading.get_ident()}"[:80]
        with working(self.engine) as session:
            job = jobs.claim(session, number, owner, clock.now())
            task = Task(job.id, job.kind, job.subject, dict(job.arguments)) if job else None
            settings = preferences.effective(session, self.settings)
        if task is None:
            return
        error: BtyError | None = None
        try:
            with self._alive(task, owner):
                KINDS[task.kind](settings, self.engine, task)
        except BtyError as failure:
            error = failure
        except Exception as bug:  # noqa: BLE001 - its row must say how the job ended
            _log.exception("job %s (%s %s)", number, task.kind, task.subject)
            error = BtyError(f"something unforeseen: {bug}", hint="the server's log says more")
        with working(self.engine) as session:
            if error is None:
                jobs.renew(session, number, owner, clock.now(), task.done, task.total)
                jobs.finish(session, number, owner, clock.now(), task.result)
            elif isinstance(error, Cancelled) and self.stop.is_set():
                jobs.release(session, number, owner)
            else:
                jobs.fail(session, number, owner, clock.now(), error)

    @contextmanager
    def _alive(self, task: Task, owner: str) -> Iterator[None]:
        """Renew the lease beside the work; stop the work where it is cancelled or not ours any more."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(HEARTBEAT):
                if self.stop.is_set():
                    task.end()
                try:
                    with working(self.engine) as session:
                        go_on = jobs.renew(
                            session, task.number, owner, clock.now(), task.done, task.total
                        )
                except SQLAlchemyError:
                    continue  # the lease lasts for many heartbeats
                if not go_on:
                    task.end()

        thread = threading.Thread(target=beat, name=f"job-{task.number}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
