"""Jobs and leases: of all that ask, one does the work; of a worker that died, another takes it."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest

from bty_core.errors import BtyError
from bty_web.errors import Conflict, NotFound
from bty_web.models import Job
from bty_web.models.words import JobState
from bty_web.services import jobs
from tests.web.site import NOW, OPERATOR, Site

SECOND = timedelta(seconds=1)


def add(site: Site) -> int:
    with site.session() as session:
        return jobs.add(session, "measure", "a.img", {}, by=OPERATOR, now=NOW).id


def claim(site: Site, number: int, owner: str = "one", now: datetime = NOW) -> bool:
    with site.session() as session:
        return jobs.claim(session, number, owner, now) is not None


def renew(site: Site, number: int, owner: str = "one", now: datetime = NOW) -> bool:
    with site.session() as session:
        return jobs.renew(session, number, owner, now, 10, 20)


def row(site: Site, number: int) -> Job:
    with site.session() as session:
        job = jobs.get(session, number)
        session.expunge(job)
        return job


def test_of_many_one_gets_it(site: Site) -> None:
    number = add(site)
    ready = threading.Barrier(6)
    got: list[str] = []

    def ask(owner: str) -> None:
        ready.wait()
        if claim(site, number, owner):
            got.append(owner)

    threads = [threading.Thread(target=ask, args=(f"worker {n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    job = row(site, number)
    assert got == [job.owner]
    assert (job.state, job.tries, job.lease_until) == (JobState.RUNNING, 1, NOW + jobs.LEASE)


def test_a_lease_that_is_renewed_is_kept(site: Site) -> None:
    number = add(site)
    assert claim(site, number)
    later = NOW + jobs.LEASE - SECOND
    assert renew(site, number, now=later)
    assert not claim(site, number, "two", NOW + jobs.LEASE + SECOND)
    job = row(site, number)
    assert (job.done_bytes, job.total_bytes, job.owner) == (10, 20, "one")


def test_after_a_silence_another_one_has_it_and_the_first_can_say_nothing(site: Site) -> None:
    number = add(site)
    assert claim(site, number)
    later = NOW + jobs.LEASE + SECOND
    with site.session() as session:
        assert jobs.lost(session, NOW) == []
        assert jobs.lost(session, later) == [number]
    assert claim(site, number, "two", later)
    assert not renew(site, number, "one", later)
    with site.session() as session:
        assert not jobs.finish(session, number, "one", later)
        assert not jobs.fail(session, number, "one", later, BtyError("late"))
        jobs.release(session, number, "one")
    job = row(site, number)
    assert (job.state, job.owner, job.tries) == (JobState.RUNNING, "two", 2)


def test_after_three_tries_it_fails_with_a_sentence(site: Site) -> None:
    number = add(site)
    now = NOW
    for _ in range(jobs.TRIES):
        assert claim(site, number, now=now)
        now += jobs.LEASE + SECOND
    assert not claim(site, number, now=now)
    job = row(site, number)
    assert (job.state, job.code, job.message, job.hint, job.ended_at) == (
        JobState.FAILED,
        "worker-died",
        "3 workers have died over this",
        "the server's log says more; try it again",
        now,
    )
    assert not claim(site, number, now=now)


def test_one_that_was_given_back_was_no_try(site: Site) -> None:
    number = add(site)
    for _ in range(jobs.TRIES + 2):
        assert claim(site, number)
        with site.session() as session:
            jobs.release(session, number, "one")
    job = row(site, number)
    assert (job.state, job.tries, job.owner, job.lease_until) == (JobState.QUEUED, 0, None, None)


def test_it_ends_well(site: Site) -> None:
    number = add(site)
    claim(site, number)
    renew(site, number)
    with site.session() as session:
        assert jobs.finish(session, number, "one", NOW, {"found": 1})
    job = row(site, number)
    assert (job.state, job.result, job.done_bytes, job.ended_at) == (
        JobState.DONE,
        {"found": 1},
        20,
        NOW,
    )
    assert not claim(site, number, now=NOW + 2 * jobs.LEASE)


def test_it_ends_badly(site: Site) -> None:
    number = add(site)
    claim(site, number)
    with site.session() as session:
        assert jobs.fail(session, number, "one", NOW, BtyError("it broke", hint="mend it"))
    job = row(site, number)
    assert (job.state, job.code, job.message, job.hint) == (
        JobState.FAILED,
        "error",
        "it broke",
        "mend it",
    )


def test_cancelling_what_waits_and_what_runs(site: Site) -> None:
    waits, runs = add(site), add(site)
    claim(site, runs)
    with site.session() as session:
        for number in (waits, runs):
            jobs.ask_to_cancel(jobs.get(session, number), now=NOW)
    assert row(site, waits).state is JobState.CANCELLED
    assert not claim(site, waits)
    assert row(site, runs).state is JobState.RUNNING
    assert not renew(site, runs)  # its worker hears of it
    with site.session() as session:
        jobs.fail(session, runs, "one", NOW, BtyError("stopped"))
    assert row(site, runs).state is JobState.CANCELLED
    with site.session() as session, pytest.raises(Conflict, match=rf"job {runs} has ended"):
        jobs.ask_to_cancel(jobs.get(session, runs), now=NOW)


def test_one_that_was_cancelled_and_whose_worker_died_is_not_begun_again(site: Site) -> None:
    number = add(site)
    claim(site, number)
    with site.session() as session:
        jobs.ask_to_cancel(jobs.get(session, number), now=NOW)
    assert not claim(site, number, "two", NOW + jobs.LEASE + SECOND)
    assert row(site, number).state is JobState.CANCELLED


def test_there_is_no_such_job(site: Site) -> None:
    assert not claim(site, 99)
    with site.session() as session, pytest.raises(NotFound, match="there is no job 99"):
        jobs.get(session, 99)


def test_old_jobs_are_forgotten_and_open_ones_are_not(site: Site) -> None:
    ended, waits = add(site), add(site)
    claim(site, ended)
    with site.session() as session:
        jobs.finish(session, ended, "one", NOW)
        jobs.forget(session, NOW + jobs.KEPT + SECOND)
        assert [job.id for job in jobs.newest(session)] == [waits]


def test_a_right_that_one_has_at_a_time(site: Site) -> None:
    def take(owner: str, now: datetime) -> bool:
        with site.session() as session:
            return jobs.take(session, "clock", owner, now, 10 * SECOND)

    assert take("one", NOW)
    assert not take("two", NOW + 9 * SECOND)
    assert take("one", NOW + 9 * SECOND)
    assert not take("two", NOW + 11 * SECOND)
    assert take("two", NOW + 20 * SECOND)
    assert not take("one", NOW + 20 * SECOND)
