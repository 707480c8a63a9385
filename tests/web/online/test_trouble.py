"""A run that does not end well: who is told what, and that no key stays, whatever happened."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bty_web.jobs import looking, queue
from bty_web.jobs.work import Work
from bty_web.models import Access, Attempt, Job
from bty_web.models.words import JobState, RunState
from bty_web.online import addresses, log, sandbox
from bty_web.online.errors import NoAnswer
from bty_web.online.ssh import CommandRefused, Way
from bty_web.services import clock, facts, jobs, machines, runs, ssh_keys
from bty_web.services.access import Door
from tests.web.online.flow import (
    FAILS,
    SLEEPS,
    flashed,
    one,
    opens,
    prepare,
    private_key,
    row,
    while_it_runs,
    worked,
)
from tests.web.online.own_system import ADDRESS, OwnSystem
from tests.web.serving.server import alive, descendants, wait_until
from tests.web.site import MAC, OPERATOR, Site

pytestmark = [pytest.mark.root, pytest.mark.netns]


def test_a_step_that_fails_is_named_and_the_key_goes_nevertheless(
    site: Site, own_system: OwnSystem, tmp_path: Any
) -> None:
    prepare(site, FAILS)
    run = flashed(site, own_system)
    key = private_key(site)
    done = worked(site, run)
    assert (done.state, done.code) == (RunState.FAILED, "workflow-failed")
    assert done.message == "step 2 of 2, 'second', failed"
    assert (done.access_left, done.facts) == (False, None)
    assert done.report_at is not None
    with pytest.raises(Exception, match="does not let bty in"):
        opens(site, own_system, key, tmp_path / "after")


def test_a_machine_that_never_answers(site: Site, own_system: OwnSystem) -> None:
    prepare(site)
    run = flashed(site, own_system)
    own_system.stop()
    done = worked(site, run)
    assert (done.state, done.code, done.access_left) == (RunState.FAILED, "no-answer", True)
    assert done.message is not None
    assert done.message.endswith("; it was waited for 4 s")
    assert "Connection refused" in done.message
    with site.session() as session:
        assert one(session.scalars(select(Access)).all()).key is None


def test_another_machine_at_its_address_is_not_believed(site: Site, own_system: OwnSystem) -> None:
    prepare(site)
    run = flashed(site, own_system)
    own_system.stop()
    own_system.start("ssh-ed25519 AAAA", host=ssh_keys.make_pair())
    done = worked(site, run)
    assert (done.state, done.code) == (RunState.FAILED, "wrong-host")
    assert "is not the machine that was flashed" in (done.message or "")


def test_it_is_cancelled_by_a_person(site: Site, own_system: OwnSystem) -> None:
    prepare(site, SLEEPS)
    run = flashed(site, own_system)

    def cancel() -> None:
        with site.session() as session:
            runs.cancel(session, runs.get(session, run.id), by=OPERATOR, now=clock.now())

    began = time.monotonic()
    done = while_it_runs(site, run, cancel)
    assert time.monotonic() - began < 40
    assert (done.state, done.access_left) == (RunState.CANCELLED, False)
    with site.session() as session:
        assert session.get_one(Job, run.job_id).state is JobState.CANCELLED


def test_a_machine_that_is_removed_meanwhile_leaves_no_key(
    site: Site, own_system: OwnSystem, tmp_path: Any
) -> None:
    prepare(site, SLEEPS)
    run = flashed(site, own_system)
    key = private_key(site)

    def remove() -> None:
        with site.session() as session:
            machine = machines.get(session, MAC, lock=True)
            session.delete(session.get_one(Attempt, machine.attempt_id))
            session.delete(machine)

    def wait() -> None:
        while not row(site, run.id).step:
            time.sleep(0.1)
        remove()

    waiting = threading.Thread(target=wait)
    waiting.start()
    work = Work(site.settings, site.engine, threading.Event())
    work.perform(run.job_id or 0)
    waiting.join()
    with site.session() as session:
        jobs.ask_to_cancel(jobs.get(session, run.job_id or 0, lock=True), now=clock.now())
    work.close(drop=False)
    with pytest.raises(Exception, match="does not let bty in"):
        opens(site, own_system, key, tmp_path / "after")
    left = [path.name for path in (site.settings.state_dir / "runs").rglob("*")]
    assert sorted(left) == [str(run.id), "cijoe.log"]
    log.sweep(site.settings.state_dir, set(), set())
    assert list((site.settings.state_dir / "runs").iterdir()) == []


def test_whatever_happens_no_key_stays(
    site: Site, own_system: OwnSystem, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(_: str) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(facts, "parse", stumble)
    prepare(site)
    run = flashed(site, own_system)
    key = private_key(site)
    done = worked(site, run)
    assert (done.state, done.access_left) == (RunState.FAILED, False)
    assert done.message == "something unforeseen: a bug"
    with pytest.raises(Exception, match="does not let bty in"):
        opens(site, own_system, key, tmp_path / "after")
    assert not list((site.settings.state_dir / "runs").rglob("ssh"))


def test_what_a_dead_worker_left_is_swept(site: Site) -> None:
    folder = log.path_of(site.settings.state_dir, 7).parent
    for name in ("ssh/key", "inside/bty.toml", "cijoe.log"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("secret")
    log.sweep(site.settings.state_dir, {7}, {7})
    assert (folder / "ssh/key").exists()
    log.sweep(site.settings.state_dir, {7}, set())
    assert [path.name for path in folder.iterdir()] == ["cijoe.log"]


def test_others_write_while_a_name_is_looked_up(
    site: Site, own_system: OwnSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(site)
    run = flashed(site, own_system)

    def slowly(name: str) -> list[str]:
        with site.session() as session:  # waits for ever where the run holds the line
            machines.get(session, MAC, lock=True).notes = name
        return []

    monkeypatch.setattr(addresses, "_by_name", slowly)
    assert worked(site, run).state is RunState.DONE
    assert site.machine().notes == "build-7"


def test_what_anybody_can_make_up_is_no_place_for_a_password(site: Site) -> None:
    found = addresses.Traces(
        said=None, flashed="192.0.2.1", seen="192.0.2.66", name="localhost", macs=frozenset()
    )
    assert "192.0.2.66" in addresses.likeliest(found, proven=True)
    assert addresses.likeliest(found, proven=False) == ["192.0.2.1"]


def test_an_ssh_that_is_ended_has_not_been_let_in(tmp_path: Any) -> None:
    way = Way(tmp_path, Door(user="bty", key="none"), ADDRESS)
    way._words = ["sh", "-c", "kill -TERM $$"]
    with pytest.raises(NoAnswer, match="ended by signal 15"):
        way.run("true", timeout=20)


def test_the_kernel_cannot_be_changed_from_inside_the_fence(tmp_path: Any) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    words = "test -r /proc/sys/kernel/core_pattern; echo $?; test -w /proc/sys/kernel/core_pattern; echo $?"
    said = tmp_path / "log"
    assert sandbox.run(["sh", "-c", words], inside, {}, said, lambda: None, timeout=30) == 0
    assert said.read_text() == "0\n1\n"


def test_it_takes_no_longer_than_it_may(site: Site, own_system: OwnSystem) -> None:
    site.settings = replace(site.settings, online_limit=3)
    prepare(site, SLEEPS)
    done = worked(site, flashed(site, own_system))
    assert (done.state, done.code) == (RunState.FAILED, "workflow-failed")
    assert done.message == "the workflow did not end within 3 s; it was at step 1 of 1, 'long'"


def test_it_leaves_no_more_on_the_server_than_it_may(
    site: Site, own_system: OwnSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "_MOST", 1000)
    prepare(site, SLEEPS)
    done = worked(site, flashed(site, own_system))
    assert (done.state, done.code, done.access_left) == (
        RunState.FAILED,
        "workflow-failed",
        False,
    )
    assert re.fullmatch(
        r"the workflow has written [0-9.]+ kB, and may write 1.00 kB", done.message or ""
    )


def test_a_machine_that_talks_without_end_is_not_listened_to(
    site: Site, own_system: OwnSystem, tmp_path: Any
) -> None:
    prepare(site, SLEEPS)
    run = flashed(site, own_system)
    key = private_key(site)
    assert opens(site, own_system, key, tmp_path / "before") == "bty\n"
    door = Door(user="bty", key=key, host_key=own_system.host.public)
    with pytest.raises(CommandRefused, match=r"says more than 8\.39 MB"):
        Way(tmp_path / "before", door, ADDRESS).run("yes", timeout=60)
    assert run.state is RunState.WAITING


def test_the_machine_goes_away_in_the_middle(site: Site, own_system: OwnSystem) -> None:
    prepare(site, SLEEPS)
    run = flashed(site, own_system)
    done = while_it_runs(site, run, own_system.stop)
    assert (done.state, done.access_left) == (RunState.FAILED, True)
    assert done.code in ("connection-broken", "no-answer")


def test_a_worker_that_stops_in_the_middle_leaves_it_to_the_next(
    site: Site, own_system: OwnSystem, tmp_path: Any
) -> None:
    prepare(site, SLEEPS)
    run = flashed(site, own_system)
    key = private_key(site)
    stop = threading.Event()
    left = while_it_runs(site, run, stop.set, stop)
    assert left.state is RunState.RUNNING
    done = worked(site, run)
    assert (done.state, done.code, done.access_left) == (RunState.FAILED, "worker-died", False)
    with pytest.raises(Exception, match="does not let bty in"):
        opens(site, own_system, key, tmp_path / "after")


WORKER = """
import signal, sys, threading
from datetime import timedelta
from pathlib import Path
from bty_web.jobs import worker
from bty_web.services import jobs
from bty_web.settings import Settings

jobs.LEASE = timedelta(seconds=3)
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
worker.run(Settings(state_dir=Path(sys.argv[1]), online_patience=4), stop)
"""


def test_a_worker_that_is_killed_takes_all_along_and_the_next_one_tidies_up(
    site: Site, own_system: OwnSystem, tmp_path: Any
) -> None:
    prepare(site, SLEEPS)
    run = flashed(site, own_system)
    key = private_key(site)
    words = [sys.executable, "-c", WORKER, str(site.settings.state_dir)]
    queue.enqueue(site.settings, [run.job_id or 0])
    first = subprocess.Popen(words)
    try:
        assert wait_until(lambda: row(site, run.id).step == 1, 30)
        family = descendants(first.pid)
        assert len(family) > 3  # ssh, the fence, cijoe
    finally:
        first.kill()
        first.wait()
    assert wait_until(lambda: not any(map(alive, family)), 15), "something went on"
    second = subprocess.Popen(words)
    try:
        assert wait_until(lambda: row(site, run.id).state.over, 60)
    finally:
        second.terminate()
        assert second.wait(30) == 0
    done = row(site, run.id)
    assert (done.state, done.code, done.access_left) == (RunState.FAILED, "worker-died", False)
    with pytest.raises(Exception, match="does not let bty in"):
        opens(site, own_system, key, tmp_path / "after")


def test_a_run_whose_worker_died_too_often_is_ended(site: Site, own_system: OwnSystem) -> None:
    prepare(site)
    run = flashed(site, own_system)
    with site.session() as session:
        job = jobs.get(session, run.job_id or 0, lock=True)
        job.state, job.ended_at = JobState.FAILED, clock.now()
        runs.end_what_nobody_does(session, clock.now() + timedelta(seconds=1))
    done = row(site, run.id)
    assert (done.state, done.access_left) == (RunState.FAILED, True)
