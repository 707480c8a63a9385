"""Workers as processes: they find images by themselves, die, stop, and share a queue on Redis."""

from __future__ import annotations

import hashlib
import json
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from bty_web import database
from bty_web.errors import BrokenSetting
from bty_web.jobs import queue
from bty_web.jobs.clock import KEPT_ATTEMPTS, Clock
from bty_web.jobs.queue import queue_of
from bty_web.jobs.work import Work
from bty_web.models import Attempt, Image, Job
from bty_web.models.words import AttemptMode, ImageState, JobState, State, Trigger
from bty_web.services import jobs
from bty_web.settings import Settings
from tests.fakes.server import Fault, ImageServer
from tests.web.catalog.root import DISK, put, rows, scan, states, work
from tests.web.jobs.redis import running
from tests.web.site import NOW, OPERATOR, Site, make_site

# A worker that says when it measures, and takes its time where the file `slow` lies in the state folder.
PROGRAM = """
import os, signal, sys, threading, time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from bty_web.jobs import clock, measure, work, worker
from bty_web.services import jobs
from bty_web.settings import Settings

state = Path(sys.argv[1])
jobs.LEASE = clock.HELD = timedelta(seconds=3)
real = measure.run

def run(settings, engine, task):
    with (state / "notes").open("a") as notes:
        notes.write(f"{os.getpid()} begins\\n")
    while (state / "slow").exists():
        task.at(1)
        time.sleep(0.05)
    real(settings, engine, task)
    with (state / "notes").open("a") as notes:
        notes.write(f"{os.getpid()} ends\\n")

work.KINDS["measure"] = run
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
worker.run(Settings(state_dir=state, queue_url=sys.argv[2]), stop)
"""


@pytest.fixture
def site(sqlite_settings: Settings) -> Iterator[Site]:
    made = make_site(sqlite_settings)
    yield made
    made.engine.dispose()
    with made.app.app_context():
        from bty_web.extensions import db

        db.engine.dispose()


@contextmanager
def worker(site: Site, url: str = "") -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), site.settings.state_dir, url],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def noted(site: Site) -> list[str]:
    path = site.settings.state_dir / "notes"
    return path.read_text().splitlines() if path.exists() else []


def job(site: Site) -> Job:
    with site.session() as session:
        (found,) = session.query(Job)
        session.expunge(found)
        return found


def test_a_file_that_appears_is_measured_by_itself(site: Site) -> None:
    with worker(site) as process:
        put(site)
        wait_until(lambda: states(site) == {"a.img": "ready"})
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert rows(site)["a.img"].sha256 == hashlib.sha256(DISK).hexdigest()


def test_a_worker_that_is_killed_in_the_middle_loses_its_job_to_another(site: Site) -> None:
    slow = site.settings.state_dir / "slow"
    slow.touch()
    put(site)
    with worker(site) as first:
        wait_until(lambda: noted(site) == [f"{first.pid} begins"])
        first.kill()  # as SIGKILL does: nothing of it can tidy up
        first.wait()
        assert job(site).state is JobState.RUNNING  # nobody told the table
        slow.unlink()
        with worker(site) as second:
            wait_until(lambda: states(site) == {"a.img": "ready"})
            time.sleep(3.0)  # nobody begins a third time
            assert noted(site) == [
                f"{first.pid} begins",
                f"{second.pid} begins",
                f"{second.pid} ends",
            ]
    found = job(site)
    assert (found.state, found.tries) == (JobState.DONE, 2)


def test_a_worker_that_is_told_to_stop_gives_its_job_back_at_once(site: Site) -> None:
    (site.settings.state_dir / "slow").touch()
    put(site)
    with worker(site) as process:
        wait_until(lambda: noted(site) == [f"{process.pid} begins"])
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert time.monotonic() - started < 6
    found = job(site)
    assert (found.state, found.owner, found.tries) == (JobState.QUEUED, None, 0)
    assert states(site) == {"a.img": "measuring"}


@pytest.mark.redis
def test_two_workers_share_a_redis_and_one_does_the_work(site: Site) -> None:
    with running() as url, worker(site, url) as one, worker(site, url) as two:
        names = [f"{number}.img" for number in range(6)]
        for name in names:
            put(site, name)
        wait_until(lambda: states(site) == dict.fromkeys(names, "ready"))
        # An image is ready a moment before its worker notes the end.
        wait_until(lambda: sum(line.endswith("ends") for line in noted(site)) >= len(names))
        ended = [line for line in noted(site) if line.endswith("ends")]
        begun = [line for line in noted(site) if line.endswith("begins")]
        assert len(ended) == len(begun) == len(names)
        assert {int(line.split()[0]) for line in begun} <= {one.pid, two.pid}


@pytest.mark.redis
def test_a_message_is_a_number_and_nothing_that_runs(site: Site, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    with running() as url:
        settings = replace(site.settings, queue_url=url)
        queue.enqueue(settings, [7])
        huey = queue_of(settings).huey
        with Redis.from_url(url) as client:
            (message,) = client.lrange(huey.storage.queue_key, 0, -1)
            assert json.loads(message).keys() == {"id", "name", "job"}
            assert json.loads(message)["job"] == 7
            client.lpush(huey.storage.queue_key, pickle.dumps(Evil()))
        task = huey.dequeue()
        assert task.args == (7,)
        with pytest.raises(ValueError):  # noqa: PT011 - of JSON, or of its encoding
            huey.dequeue()
        huey.storage.conn.close()
        huey.storage.pool.disconnect()
        queue._queue.cache_clear()
    assert not (tmp_path / "ran").exists()


def test_a_queue_that_is_away_is_no_failure(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(site.settings, queue_url=f"unix://{tmp_path}/none")
    queue.enqueue(settings, [1, 2])
    (line,) = caplog.messages
    assert line.startswith("job 1 could not be queued and waits: ")


def test_redis_without_its_package(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(BrokenSetting) as caught:
        queue_of(replace(site.settings, queue_url="redis://nowhere/7"))
    assert caught.value.hint == "install bty-web[redis], and check BTY_QUEUE_URL"


def test_a_job_that_raises_what_nobody_foresaw_ends_and_is_not_repeated(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    put(site)
    numbers = scan(site)
    monkeypatch.setitem(Work.perform.__globals__["KINDS"], "measure", bug)
    work(site, numbers)
    assert job(site).message == "something unforeseen: division by zero"
    assert scan(site) == []
    assert rows(site)["a.img"].state is ImageState.BROKEN


def test_the_clock_tells_of_a_job_that_waits_once_and_not_at_each_tick(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[list[int]] = []
    monkeypatch.setattr(queue, "enqueue", lambda _, numbers: told.append([*numbers]))
    with site.session() as session:
        number = jobs.add(session, "probe", "eth0", {}, by=OPERATOR, now=NOW).id
    clock = Clock(site.settings, site.engine, "one")
    for _ in range(3):
        clock.tick()
    assert [one for one in told if one] == [[number]]


def test_one_clock_ticks_and_trouble_with_one_thing_leaves_the_others(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    put(site)
    monkeypatch.setattr("bty_web.jobs.clock.attempts.time_out", broken)
    first = Clock(site.settings, site.engine, "one")
    second = Clock(site.settings, site.engine, "two")
    first.tick()
    first.tick()
    assert states(site) == {"a.img": "measuring"}
    assert caplog.messages == ["the clock's part 'attempts' failed: broken"]
    put(site, "b.img")
    second.tick()
    assert "b.img" not in states(site)


def test_the_newest_attempts_of_a_machine_are_kept(site: Site) -> None:
    machine = site.add_machine()
    with site.session() as session:
        for number in range(KEPT_ATTEMPTS + 10):
            session.add(
                Attempt(
                    machine_id=machine,
                    revision=1,
                    state=State.OFFERED if number == 3 else State.DONE,
                    mode=AttemptMode.AUTO,
                    trigger=Trigger.POLICY,
                    nonce="x",
                    started_at=NOW,
                    heard_at=NOW,
                )
            )
        session.flush()
        ids = [one.id for one in session.query(Attempt).order_by(Attempt.id)]
    Clock(site.settings, site.engine, "one")._clean()
    with site.session() as session:
        left = [one.id for one in session.query(Attempt).order_by(Attempt.id)]
    assert left == [ids[3], *ids[10:]]


def fetching(site: Site, url: str, **arguments: str) -> int:
    with site.session() as session:
        wanted = {"url": url, **arguments}
        return jobs.add(session, "import", "a.img", wanted, by=OPERATOR, now=NOW).id


def test_an_import_goes_on_where_the_link_broke(site: Site) -> None:
    site.settings = replace(site.settings, upload_reserve_mib=0)
    with ImageServer(DISK, faults=[Fault(drop_after=1000)]) as server:
        number = fetching(site, server.url, sha256=hashlib.sha256(DISK).hexdigest())
        work(site, [number])
    found = job(site)
    assert (found.state, found.message, found.done_bytes, found.total_bytes) == (
        JobState.DONE,
        None,
        len(DISK),
        len(DISK),
    )
    assert (site.settings.image_root / "a.img").read_bytes() == DISK


@pytest.mark.parametrize(
    ("sha256", "fault", "code"),
    [("0" * 64, Fault(), "digest-mismatch"), ("", Fault(status=404), "image-unavailable")],
    ids=["digest", "404"],
)
def test_an_import_that_fails_leaves_nothing(
    site: Site, sha256: str, fault: Fault, code: str
) -> None:
    site.settings = replace(site.settings, upload_reserve_mib=0)
    with ImageServer(DISK, faults=[fault]) as server:
        work(site, [fetching(site, server.url, sha256=sha256)])
    found = job(site)
    assert (found.state, found.code) == (JobState.FAILED, code)
    assert list(site.settings.image_root.iterdir()) == []


def test_an_import_from_a_server_that_says_nothing_more_is_cancelled_at_once(site: Site) -> None:
    site.settings = replace(site.settings, upload_reserve_mib=0)
    with ImageServer(DISK, then=Fault(stall_after=1000)) as server:
        number = fetching(site, server.url)
        thread = threading.Thread(target=work, args=(site, [number]))
        thread.start()
        wait_until(lambda: any(site.settings.image_root.iterdir()))
        with site.session() as session:
            jobs.ask_to_cancel(jobs.get(session, number), now=NOW)
        started = time.monotonic()
        thread.join(30)
        assert time.monotonic() - started < 10
    assert job(site).state is JobState.CANCELLED
    assert list(site.settings.image_root.iterdir()) == []


def test_measuring_that_is_cancelled_writes_no_image(site: Site) -> None:
    put(site)
    (number,) = scan(site)
    with site.session() as session:
        session.query(Image).delete()
        jobs.ask_to_cancel(jobs.get(session, number), now=NOW)
    work(site, [number])
    assert states(site) == {}
    assert job(site).state is JobState.CANCELLED
    assert database.sqlite_file(site.settings) is not None
