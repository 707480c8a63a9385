"""Who waits for changes in this process, and the one thread that looks for them.

The thread asks the database once a second, however many pages are open. What it tells are hints; a page that is slow
to take them gets them merged, and nobody waits for it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from bty_web.services import changes
from bty_web.services.changes import Changes
from bty_web.services.clock import change_stamp
from bty_web.stopping import STOPPING

EVERY = 1.0  # seconds between two looks
# A row is stamped before its transaction ends: what is stamped earlier may be seen later.
OVERLAP = 5_000_000  # microseconds
MOST_IDS = (
    500  # of one topic in one message; beyond, the page is told that anything may have changed
)

Hints = Mapping[str, frozenset[int]]  # by topic; no ids: anything may have changed

_log = logging.getLogger(__name__)


def hints_of(found: Changes) -> dict[str, frozenset[int]]:
    """Return what a page is told of `found`."""
    hints = {topic: frozenset(rows) for topic, rows in found.rows.items() if rows}
    for topic, ids in hints.items():
        if topic in found.vague or any(number < 0 for number in ids):
            hints[topic] = frozenset()
    return hints


class Mailbox:
    """What one page has yet to be told."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._hints: dict[str, frozenset[int]] = {}
        self._closed = False

    def put(self, hints: Hints) -> None:
        """Add hints to those that wait; never blocks."""
        with self._changed:
            for topic, ids in hints.items():
                waiting = self._hints.get(topic)
                vague = not ids or waiting == frozenset()
                merged = frozenset() if vague else ids | (waiting or frozenset())
                self._hints[topic] = merged if len(merged) <= MOST_IDS else frozenset()
            self._changed.notify()

    def take(self, timeout: float) -> Hints | None:
        """Return what waits, empty when nothing came within `timeout` seconds; None when it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._hints or self._closed, timeout)
            if self._closed:
                return None
            hints, self._hints = self._hints, {}
            return hints

    def close(self) -> None:
        """Let whoever waits end."""
        with self._changed:
            self._closed = True
            self._changed.notify()


class Follower:
    """The mailboxes of this process; at most `most`. Its thread runs while there is one."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._mailboxes: set[Mailbox] = set()
        self._running = False

    def attach(self, engine: Engine) -> Mailbox | None:
        """Return a new mailbox, None when there are as many as there may be."""
        with self._lock:
            if len(self._mailboxes) >= self.most or STOPPING.is_set():
                return None
            mailbox = Mailbox()
            self._mailboxes.add(mailbox)
            if not self._running:
                self._running = True
                threading.Thread(
                    target=self._follow, args=(engine,), name="bty-follower", daemon=True
                ).start()
            return mailbox

    def detach(self, mailbox: Mailbox) -> None:
        """Forget a mailbox."""
        with self._lock:
            self._mailboxes.discard(mailbox)

    def _waiting(self) -> list[Mailbox]:
        """Return the mailboxes; with none, or when the process ends, the thread ends."""
        with self._lock:
            if STOPPING.is_set():
                for mailbox in self._mailboxes:
                    mailbox.close()
                self._mailboxes.clear()
            self._running = bool(self._mailboxes)
            return list(self._mailboxes)

    def _follow(self, engine: Engine) -> None:
        newest = change_stamp()
        seen: dict[tuple[str, int], int] = {}
        while mailboxes := self._waiting():
            # The clock may have been set back: then what is stamped ahead of it is known already.
            since = min(newest, change_stamp()) - OVERLAP
            try:
                with Session(engine) as session:
                    found = changes.since(session, since)
            except SQLAlchemyError as error:
                _log.warning("open pages are not told what changes: %s", error)
            else:
                fresh, newest = _fresh(found, seen, newest)
                seen = {key: stamp for key, stamp in seen.items() if stamp > since}
                if hints := hints_of(fresh):
                    for mailbox in mailboxes:
                        mailbox.put(hints)
            STOPPING.wait(EVERY)


def _fresh(found: Changes, seen: dict[tuple[str, int], int], newest: int) -> tuple[Changes, int]:
    """Return what of `found` was not told before, noting it in `seen`, and the newest stamp."""
    rows: dict[str, dict[int, int]] = {}
    for topic, stamps in found.rows.items():
        rows[topic] = {n: stamp for n, stamp in stamps.items() if seen.get((topic, n)) != stamp}
        seen.update({(topic, number): stamp for number, stamp in stamps.items()})
        newest = max(newest, *stamps.values()) if stamps else newest
    return Changes(rows, found.vague), newest
