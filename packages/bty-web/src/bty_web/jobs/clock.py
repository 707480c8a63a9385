"""What happens by itself: the catalog is scanned, silent attempts are given up, lost jobs are queued again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from bty_web.database import working, write_back
from bty_web.jobs import queue
from bty_web.models import Attempt, LoginFailure
from bty_web.models.words import OVER
from bty_web.online import log
from bty_web.services import (
    attempts,
    clock,
    history,
    jobs,
    live_install,
    preferences,
    run_reports,
    runs,
    scanning,
    uploads,
    users,
)
from bty_web.settings import Settings

EVERY = 2.0  # seconds
HELD = timedelta(seconds=30)
SELDOM = 3600.0  # seconds between two clean-ups
COMPLAIN_EVERY = 300.0  # seconds between two lines about the same trouble
AGAIN = 60.0  # seconds after which the queue hears of a lost job once more
KEPT_ATTEMPTS = 200  # of each machine
_log = logging.getLogger(__name__)


class Clock:
    """Ticks while this process holds the lease; others wait for it to fall silent."""

    def __init__(self, settings: Settings, engine: Engine, owner: str) -> None:
        self.settings = settings
        self.engine = engine
        self.owner = owner
        self._cleaned = 0.0
        self._complained: dict[str, float] = {}
        self._told: dict[int, float] = {}  # lost jobs, and when the queue heard of them

    def run(self, stop: threading.Event) -> None:
        """Tick until `stop`."""
        while not stop.wait(EVERY):
            self.tick()

    def tick(self) -> None:
        """Do what is due. One part that fails does not keep the others from their work."""
        if not self._safely("lease", self._holds_the_lease):
            return
        self._safely("log", self._write_back)
        self._safely("scan", self.scan)
        self._safely("attempts", self._time_out)
        self._safely("jobs", self._lost)
        self._safely("runs", self._end_runs)
        if time.monotonic() - self._cleaned > SELDOM or not self._cleaned:
            self._cleaned = time.monotonic()
            self._safely("clean-up", self._clean)

    def _safely(self, what: str, action: Callable[[], bool]) -> bool:
        try:
            return action()
        except Exception as error:  # noqa: BLE001 - the clock goes on, whatever it was
            last = self._complained.get(what, 0.0)
            if not last or time.monotonic() - last > COMPLAIN_EVERY:
                self._complained[what] = time.monotonic()
                _log.error("the clock's part '%s' failed: %s", what, error, exc_info=error)
            return False

    def _holds_the_lease(self) -> bool:
        with working(self.engine) as session:
            return jobs.take(session, "clock", self.owner, clock.now(), HELD)

    def _write_back(self) -> bool:
        write_back(self.engine)
        return True

    def scan(self) -> bool:
        """Hold the catalog against the image root."""
        listing = scanning.look(self.settings.image_root)
        with working(self.engine) as session:
            numbers = scanning.reconcile(session, listing, clock.now())
        queue.enqueue(self.settings, numbers)
        return True

    def _time_out(self) -> bool:
        with working(self.engine) as session:
            attempts.time_out(session, clock.now())
        return True

    def _end_runs(self) -> bool:
        with working(self.engine) as session:
            ended = runs.end_what_nobody_does(session, clock.now())
        for run in ended:
            log.clear(self.settings.state_dir, run)
        return True

    def _lost(self) -> bool:
        with working(self.engine) as session:
            lost = jobs.lost(session, clock.now())
        # A long job keeps others waiting for hours: to tell each time would fill the queue.
        now = time.monotonic()
        self._told = {number: at for number, at in self._told.items() if number in lost}
        numbers = [one for one in lost if now - self._told.get(one, now - AGAIN) >= AGAIN]
        self._told.update(dict.fromkeys(numbers, now))
        queue.enqueue(self.settings, numbers)
        return True

    def _clean(self) -> bool:
        uploads.sweep(self.settings.image_root)
        live_install.sweep(self.settings.boot_dir)
        now = clock.now()
        with working(self.engine) as session:
            days = preferences.effective(session, self.settings).event_days
            history.forget(session, older_than=timedelta(days=days), now=now)
            jobs.forget(session, now)
            session.execute(delete(LoginFailure).where(LoginFailure.at < now - users.WINDOW))
            _forget_attempts(session)
            known = set(session.scalars(select(Attempt.id).where(Attempt.report_at.is_not(None))))
            kept = runs.forget(session)
            under_way = runs.all_under_way(session)
        run_reports.sweep(self.settings.state_dir, known, kept)
        log.sweep(self.settings.state_dir, kept, under_way)
        return True


def _forget_attempts(session: Session) -> None:
    """Keep the newest attempts of each machine."""
    many = select(Attempt.machine_id).group_by(Attempt.machine_id)
    for number in session.scalars(many.having(func.count() > KEPT_ATTEMPTS)).all():
        mine = select(Attempt.id).where(Attempt.machine_id == number).order_by(Attempt.id.desc())
        newest = session.scalars(mine.limit(KEPT_ATTEMPTS)).all()
        session.execute(
            delete(Attempt).where(
                Attempt.machine_id == number,
                Attempt.id < newest[-1],
                Attempt.state.in_([*OVER]),
            )
        )
