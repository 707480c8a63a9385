"""One attempt is ended by exactly one thing: tokens, addresses, superseding, silence, cancelling."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from bty_web.errors import AttemptEnded
from bty_web.models import Attempt, Event
from bty_web.models.words import State
from bty_web.services import attempts, clock, machines
from bty_web.services.attempts import OFFERED_SILENCE, PER_HOUR, SILENCE
from tests.web.pxe.walk import Boot, add_live_environment
from tests.web.site import MAC, OPERATOR, Site


@pytest.fixture(autouse=True)
def _flashing(site: Site) -> None:
    add_live_environment(site)
    site.add_image()
    site.add_machine(image="debian.img", target="largest", boot_policy="flash")


def row(site: Site, number: int) -> Attempt:
    with site.session() as session:
        found = attempts.get(session, number)
        session.expunge(found)
        return found


def events(site: Site, kind: str) -> list[str]:
    with site.session() as session:
        return list(session.scalars(select(Event.message).where(Event.kind == kind)))


def silent_for(site: Site, number: int, silence: timedelta) -> int:
    """Let an attempt not be heard of, and look after the clock; return how many were given up."""
    with site.session() as session:
        attempts.get(session, number).heard_at = clock.now() - silence - timedelta(seconds=1)
        session.flush()
        return attempts.time_out(session, clock.now())


def cancel(site: Site, number: int) -> None:
    with site.session() as session:
        machine = machines.get(session, MAC, lock=True)
        attempt = attempts.get(session, number)
        attempts.cancel(session, machine, attempt, by=OPERATOR, now=clock.now())


def test_a_contact_is_offered_the_same_attempt_until_something_is_heard(site: Site) -> None:
    first, second = Boot.of(site), Boot.of(site)
    assert (first.attempt, first.token) == (second.attempt, second.token)
    second.progress()
    assert Boot.of(site).attempt != first.attempt


def test_a_stray_contact_kills_no_running_flash(site: Site) -> None:
    boot = Boot.of(site)
    boot.progress("writing", disk_bytes=1)
    stray = Boot.of(site, address="192.0.2.66")
    assert stray.attempt != boot.attempt
    assert boot.progress("writing", disk_bytes=2).status_code == 200
    assert boot.done().status_code == 200
    assert row(site, boot.attempt).state is State.DONE


def test_the_newer_token_supersedes_what_is_older(site: Site) -> None:
    old = Boot.of(site)
    old.progress("writing", disk_bytes=1)
    new = Boot.of(site)
    assert row(site, old.attempt).state is State.RUNNING
    assert new.progress("waiting").status_code == 200
    assert row(site, old.attempt).state is State.SUPERSEDED
    for answer in (old.progress(), old.done(), old.failed(), old.inventory(), old.plan()):
        assert answer.status_code == 409
        assert answer.get_json()["detail"] == (
            f"attempt {old.attempt} was superseded by attempt {new.attempt}"
        )
    assert row(site, old.attempt).state is State.SUPERSEDED
    assert row(site, new.attempt).state is State.QUEUED
    assert len(events(site, "attempt.refused")) == 1


@pytest.mark.parametrize("token", ["", "0" * 32, "x", "ä", "' OR 1=1 --"])
def test_a_forged_token_changes_nothing_and_is_logged(site: Site, token: str) -> None:
    boot = Boot.of(site)
    before = row(site, boot.attempt)
    for what, body in (
        ("progress", {"phase": "writing"}),
        ("done", {"image": "x", "disk": "y", "bytes_written": 1, "seconds": 1}),
        ("failed", {"code": "x", "message": "y"}),
        ("inventory", {"disks": [], "nics": []}),
        ("policy", {"boot_policy": "local"}),
    ):
        headers = {"Authorization": f"Bearer {token}".encode().decode("latin-1")}
        answer = site.client.post(f"/pxe/{MAC}/{what}", json=body, headers=headers)
        assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    after = row(site, boot.attempt)
    assert (after.state, after.heard_at, after.client) == (before.state, before.heard_at, None)
    assert site.machine().inventory is None
    if token:
        assert len(events(site, "attempt.refused")) == 1


@pytest.mark.parametrize("what", ["progress", "done", "failed", "inventory", "policy"])
def test_without_a_token_nothing_is_looked_at(site: Site, what: str) -> None:
    answer = site.client.post(f"/pxe/{MAC}/{what}", data=b"{{{")
    assert answer.status_code == 401


def test_a_token_of_another_machine_is_forged(site: Site) -> None:
    from bty_core.values import MacAddress

    other = MacAddress.parse("52:54:00:00:00:02")
    theirs = Boot.of(site, other)
    mine = Boot.of(site)
    assert mine.post("progress", {"phase": "writing"}, token=theirs.token).status_code == 401


def test_a_token_belongs_to_the_address_that_used_it_first(site: Site) -> None:
    boot = Boot.of(site, address="192.0.2.10")
    assert boot.progress().status_code == 200
    thief = Boot(site, boot.script, boot.mac, "192.0.2.66")
    answer = thief.done()
    assert answer.status_code == 401
    assert row(site, boot.attempt).state is State.RUNNING
    assert boot.done().status_code == 200


def test_the_address_may_change_between_firmware_and_linux(site: Site) -> None:
    boot = Boot.of(site, address="192.0.2.10")
    boot.address = "192.0.2.11"
    assert boot.progress().status_code == 200


@pytest.mark.parametrize(
    ("begun", "silence"), [(False, OFFERED_SILENCE), (True, SILENCE)], ids=["offered", "running"]
)
def test_silence_abandons_and_a_late_report_still_counts(
    site: Site, begun: bool, silence: timedelta
) -> None:
    boot = Boot.of(site)
    if begun:
        boot.progress("writing", disk_bytes=1)
    assert silent_for(site, boot.attempt, silence - timedelta(seconds=30)) == 0
    assert silent_for(site, boot.attempt, silence) == 1
    assert row(site, boot.attempt).state is State.ABANDONED
    assert len(events(site, "attempt.abandoned")) == 1
    assert boot.progress("writing", disk_bytes=2).status_code == 200
    assert row(site, boot.attempt).state is State.RUNNING
    assert row(site, boot.attempt).ended_at is None
    silent_for(site, boot.attempt, SILENCE)
    assert boot.done().status_code == 200
    assert row(site, boot.attempt).state is State.DONE
    assert site.machine().last_flashed_at is not None


def test_a_late_report_of_an_attempt_that_was_replaced_does_not_count(site: Site) -> None:
    boot = Boot.of(site)
    boot.progress()
    silent_for(site, boot.attempt, SILENCE)
    new = Boot.of(site)
    new.progress()
    assert boot.done().status_code == 409
    assert site.machine().last_flashed_at is None


def test_done_is_final_and_said_twice_counts_once(site: Site) -> None:
    boot = Boot.of(site)
    assert boot.done().status_code == 200
    first = site.machine().last_flashed_at
    assert boot.done().status_code == 200
    assert site.machine().last_flashed_at == first
    for answer in (boot.progress(), boot.failed()):
        assert answer.status_code == 409
        assert answer.get_json()["code"] == "attempt-ended"
    assert row(site, boot.attempt).state is State.DONE
    assert len(events(site, "attempt.done")) == 1


def test_failed_keeps_what_the_machine_said(site: Site) -> None:
    boot = Boot.of(site)
    boot.progress("writing", disk_bytes=7)
    log = f"linux bty.mode=auto bty.token={boot.token} quiet\nthe disk said no"
    assert boot.failed(log=log).status_code == 200
    assert boot.failed().status_code == 200
    failed = row(site, boot.attempt)
    assert (failed.state, failed.code, failed.message, failed.hint) == (
        State.FAILED,
        "write-failed",
        "the disk refused a write",
        "replace it",
    )
    assert failed.log == "linux bty.mode=auto bty.token=REDACTED quiet\nthe disk said no"
    assert boot.done().status_code == 409
    assert site.machine().last_flashed_at is None
    assert events(site, "attempt.failed") == ["the disk refused a write"]


def test_a_token_is_kept_from_a_log_wherever_it_stands(site: Site) -> None:
    boot = Boot.of(site)
    token = f"bty.token={boot.token}"
    log = f"first\n{token}\nsecond '{token}'\tquiet\tbty.mac=x\t{token} third"
    assert boot.failed(log=log).status_code == 200
    kept = row(site, boot.attempt).log
    hidden = "bty.token=REDACTED"
    assert kept == f"first\n{hidden}\nsecond '{hidden}'\tquiet\tbty.mac=x\t{hidden} third"


def test_an_offered_attempt_is_cancelled_at_once(site: Site) -> None:
    boot = Boot.of(site)
    cancel(site, boot.attempt)
    assert row(site, boot.attempt).state is State.CANCELLED
    assert boot.progress().get_json()["cancel"] is True
    assert row(site, boot.attempt).state is State.CANCELLED
    assert boot.done().status_code == 409
    assert boot.plan().get_json()["mode"] == "local"


def test_a_running_attempt_is_asked_to_stop(site: Site) -> None:
    boot = Boot.of(site)
    boot.progress("writing", disk_bytes=1)
    cancel(site, boot.attempt)
    assert row(site, boot.attempt).state is State.RUNNING
    assert boot.progress("writing", disk_bytes=2).get_json()["cancel"] is True
    assert boot.failed(code="cancelled", message="stopped").status_code == 200
    assert row(site, boot.attempt).state is State.CANCELLED
    with pytest.raises(AttemptEnded):
        cancel(site, boot.attempt)


def test_an_attempt_that_is_done_before_it_hears_of_the_cancel_is_done(site: Site) -> None:
    boot = Boot.of(site)
    boot.progress("writing", disk_bytes=1)
    cancel(site, boot.attempt)
    assert boot.done().status_code == 200
    assert row(site, boot.attempt).state is State.DONE


def test_a_cancelled_attempt_that_falls_silent_is_cancelled(site: Site) -> None:
    boot = Boot.of(site)
    boot.progress("writing", disk_bytes=1)
    cancel(site, boot.attempt)
    silent_for(site, boot.attempt, SILENCE)
    assert row(site, boot.attempt).state is State.CANCELLED


def test_a_wizard_by_hand_opens_an_attempt_of_its_own(site: Site) -> None:
    opened = site.client.post(f"/pxe/{MAC}/attempts")
    assert opened.status_code == 201
    token, number = opened.get_json()["token"], opened.get_json()["attempt"]
    assert row(site, number).mode == "interactive"
    body = {"image": "mine.img", "disk": "/dev/sdb", "bytes_written": 1, "seconds": 1}
    assert site.report("done", token, body).status_code == 200
    assert row(site, number).image == "mine.img"


def test_nobody_fills_the_table_of_attempts(site: Site) -> None:
    codes = [site.client.post(f"/pxe/{MAC}/attempts").status_code for _ in range(PER_HOUR + 2)]
    assert codes == [201] * PER_HOUR + [429, 429]
    boot = Boot.of(site)
    assert boot.mode == "disk"
    assert f"{PER_HOUR} attempts were opened for it within an hour" in boot.script


def test_the_rate_is_that_of_the_last_reports(site: Site) -> None:
    boot = Boot.of(site)
    boot.progress("writing", disk_bytes=0, total_bytes=10**9)
    with site.session() as session:
        attempts.get(session, boot.attempt).heard_at = clock.now() - timedelta(seconds=2)
    boot.progress("writing", disk_bytes=200 * 10**6, total_bytes=10**9, bottleneck="disk-bound")
    running = row(site, boot.attempt)
    assert running.bytes_per_second is not None
    assert 80 * 10**6 < running.bytes_per_second < 105 * 10**6
    assert (running.disk_bytes, running.total_bytes) == (200 * 10**6, 10**9)
    assert running.bottleneck == "disk-bound"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "phase"),
        ({"phase": "dancing"}, "phase"),
        ({"phase": "writing", "disk_bytes": -1}, "disk_bytes"),
        ({"phase": "writing", "disk_bytes": "5"}, "disk_bytes"),
        ({"phase": "writing", "disk_bytes": 2**63}, "disk_bytes"),
        ({"phase": "writing", "total_bytes": 1.5}, "total_bytes"),
        ([], ""),
    ],
)
def test_a_wrong_report_names_the_field(site: Site, body: object, field: str) -> None:
    answer = Boot.of(site).post("progress", body)
    assert (answer.status_code, answer.get_json()["field"]) == (422, field)


def test_unknown_fields_are_ignored(site: Site) -> None:
    assert Boot.of(site).progress(colour="green").status_code == 200


def test_a_body_that_is_too_large_is_refused(site: Site) -> None:
    answer = Boot.of(site).progress(colour="x" * 20_000)
    assert (answer.status_code, answer.mimetype) == (413, "application/problem+json")
