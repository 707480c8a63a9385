"""Pages that are open hear what changes: through real workers, and whatever their neighbours do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest
import requests
from bs4 import BeautifulSoup

from bty_web.extensions import db
from bty_web.services import assignments, machines
from bty_web.services.clock import change_stamp, now
from bty_web.stopping import STOPPING
from bty_web.ui.following import MOST_IDS, Follower, Mailbox
from tests.web.site import MAC, OPERATOR, PASSWORD, Site
from tests.web.ui.pages import Browser
from tests.web.ui.serving import Server, running


class Stream:
    """One page's stream, read in the background."""

    def __init__(self, session: requests.Session, url: str, last: str | None = None) -> None:
        headers = {"Last-Event-ID": last} if last else {}
        self.answer = session.get(f"{url}/ui/stream", headers=headers, stream=True, timeout=30)
        self.messages: list[tuple[str, list[int]]] = []
        self.ids: list[str] = []
        self.ended = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        topic = ""
        try:
            for line in self.answer.iter_lines(chunk_size=1, decode_unicode=True):
                name, _, value = line.partition(": ")
                if name == "event":
                    topic = value
                elif name == "id":
                    self.ids.append(value)
                elif name == "data":
                    self.messages.append((topic, json.loads(value)))
        except requests.RequestException:
            pass
        self.ended.set()

    def heard(self, topic: str, number: int | None, within: float = 30.0) -> bool:
        """Whether it hears of that row, or of any, in time."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            if any(
                one == topic and (number in (None, *ids) or not ids) for one, ids in self.messages
            ):
                return True
            time.sleep(0.02)
        return False


def log_in(site: Site, server: Server) -> requests.Session:
    session = requests.Session()
    page = BeautifulSoup(session.get(f"{server.url}/ui/login").text, "html.parser")
    token = page.select("[name=csrf_token]")[0]["value"]
    form = {"csrf_token": token, "name": "operator", "password": PASSWORD}
    answer = session.post(f"{server.url}/ui/login", data=form, allow_redirects=False)
    assert answer.headers["Location"] == "/ui/"
    return session


def change(site: Site, notes: str) -> None:
    with site.session() as session:
        wanted = assignments.Change.of(notes=notes)
        assignments.change(session, machines.get(session, MAC), wanted, by=OPERATOR, now=now())


def test_every_worker_tells_its_pages_and_they_end_with_it(site: Site) -> None:
    site.log_in()
    number = site.add_machine()
    time.sleep(0.1)
    with running(site.settings) as server:
        session = log_in(site, server)
        # More connections than workers: both have some.
        streams = [Stream(session, server.url) for _ in range(8)]
        assert [one.answer.headers["Content-Type"] for one in streams] == [
            "text/event-stream; charset=utf-8"
        ] * 8
        # What happened just before the page was there is told too.
        assert all(one.heard("machines", number) for one in streams)
        for one in streams:
            one.messages.clear()
        began = time.monotonic()
        change(site, "a note")
        assert all(one.heard("machines", number, 3.0) for one in streams)
        assert time.monotonic() - began < 3.0
        assert all(one.heard("events", None, 3.0) for one in streams)
        began = time.monotonic()
        server.process.terminate()
        assert all(one.ended.wait(5) for one in streams)
        assert time.monotonic() - began < 2.0
        server.stop()


def test_a_page_that_was_away_hears_what_it_missed(site: Site) -> None:
    site.log_in()
    number = site.add_machine()
    with running(site.settings) as server:
        session = log_in(site, server)
        first = Stream(session, server.url)
        assert first.heard("machines", number)
        last = first.ids[-1]
        change(site, "meanwhile")
        with site.session() as unit:  # long enough ago that nobody is told of it by the overlap
            machines.get(unit, MAC).changed = int(last) + 1
        again = Stream(session, server.url, last)
        assert again.heard("machines", number)
        ancient = Stream(session, server.url, "1")
        assert ancient.heard("images", None), "after a long time anything may have changed"


def test_beyond_the_cap_pages_are_told_to_ask_by_themselves(site: Site) -> None:
    site.log_in()
    site.add_machine()
    with running(site.settings, event_streams=1) as server:
        session = log_in(site, server)
        streams = [Stream(session, server.url) for _ in range(8)]
        codes = sorted(one.answer.status_code for one in streams)
        assert 1 <= codes.count(200) <= 2
        assert codes.count(204) == 8 - codes.count(200)
        # The others answer pages as before.
        assert session.get(f"{server.url}/ui/machines").status_code == 200


def test_a_page_that_does_not_read_stops_nobody(site: Site) -> None:
    site.log_in()
    number = site.add_machine()
    with running(site.settings) as server:
        session = log_in(site, server)
        asleep = [session.get(f"{server.url}/ui/stream", stream=True, timeout=30) for _ in range(4)]
        awake = Stream(session, server.url)
        awake.heard("machines", number)
        awake.messages.clear()
        change(site, "again")
        assert awake.heard("machines", number, 3.0)
        for one in asleep:
            one.close()


def test_a_stranger_gets_no_stream(site: Site) -> None:
    assert site.client.get("/ui/stream").status_code == 302


def test_a_mailbox_merges_what_is_not_taken() -> None:
    mailbox = Mailbox()
    mailbox.put({"machines": frozenset({1})})
    mailbox.put({"machines": frozenset({2}), "images": frozenset({3})})
    assert mailbox.take(0) == {"machines": frozenset({1, 2}), "images": frozenset({3})}
    assert mailbox.take(0) == {}
    mailbox.put({"machines": frozenset(range(MOST_IDS + 1))})
    mailbox.put({"machines": frozenset({1})})
    assert mailbox.take(0) == {"machines": frozenset()}, "anything may have changed"
    mailbox.close()
    assert mailbox.take(0) is None


@pytest.fixture
def follower(site: Site) -> Iterator[Follower]:
    """A follower whose thread ends with the test."""
    made = Follower(2)
    yield made
    STOPPING.set()
    for thread in threading.enumerate():
        if thread.name == "bty-follower":
            thread.join(5)
    STOPPING.clear()


def test_each_change_is_told_once(site: Site, follower: Follower) -> None:
    number = site.add_machine()
    mailbox = follower.attach(site.engine)
    assert mailbox is not None
    first = mailbox.take(3)
    assert first is not None
    assert first["machines"] == {number}
    assert mailbox.take(2.5) == {}
    with site.session() as session:
        machines.forget(session, machines.get(session, MAC), by=OPERATOR, now=now())
    removed = mailbox.take(3)
    assert removed is not None
    assert removed["machines"] == frozenset(), "a row that is gone has no number to tell"


def test_a_clock_that_was_set_back_hides_nothing(site: Site, follower: Follower) -> None:
    number = site.add_machine()
    with site.session() as session:
        machines.get(session, MAC).changed = change_stamp() + 3_600_000_000
    mailbox = follower.attach(site.engine)
    assert mailbox is not None
    mailbox.take(3)
    change(site, "now")
    told = mailbox.take(3)
    assert told is not None
    assert number in told["machines"]


def test_a_follower_without_pages_stops_looking(site: Site) -> None:
    made = Follower(1)
    mailbox = made.attach(site.engine)
    assert mailbox is not None
    assert made.attach(site.engine) is None
    made.detach(mailbox)
    until = time.monotonic() + 5
    while any(one.name == "bty-follower" for one in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_stream_holds_no_connection_to_the_database(browser: Browser) -> None:
    site = browser.site
    answer = site.client.get("/ui/stream", buffered=False)
    with site.app.app_context():
        time.sleep(0.3)
        assert db.engine.pool.checkedout() <= 1  # type: ignore[attr-defined]
    answer.close()
    until = time.monotonic() + 5
    while any(one.name == "bty-follower" for one in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.05)
