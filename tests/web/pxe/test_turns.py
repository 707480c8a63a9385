"""A limit on simultaneous flashes: first asked, first served; nothing is held by who is gone, and nobody is stopped."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup
from sqlalchemy import select, update

from bty_core.values import MacAddress
from bty_core.wire.reports import TURN_SECONDS, ProgressAnswer, ProgressReport, ReportedPhase
from bty_web import database
from bty_web.app import create_app
from bty_web.commands.serve import _keep_turns
from bty_web.extensions import db
from bty_web.models import Attempt, Event
from bty_web.models.words import State
from bty_web.services import attempts, attention, clock, machines, preferences, reports
from bty_web.settings import Settings
from tests.web.api.programs import Program
from tests.web.pxe.walk import Boot, add_live_environment
from tests.web.site import OPERATOR, Site

MACS = [MacAddress.parse(f"52:54:00:00:00:{number:02x}") for number in range(1, 30)]


@pytest.fixture(autouse=True)
def _flashing(site: Site) -> None:
    add_live_environment(site)
    site.add_image()


def limit_to(site: Site, most: int) -> None:
    with site.session() as session:
        wanted = {"flash_limit": str(most)}
        preferences.change(session, site.settings, wanted, by=OPERATOR, now=clock.now())
    site.app.extensions.pop("bty_effective", None)


def boots(site: Site, count: int, policy: str = "flash") -> list[Boot]:
    for mac in MACS[:count]:
        site.add_machine(mac, image="debian.img", target="largest", boot_policy=policy)
    return [Boot.of(site, mac) for mac in MACS[:count]]


def ask(boot: Boot, **values: Any) -> int | None:
    """Ask for a turn as an agent does; return the place in the queue, None when it may begin."""
    answer = boot.progress("queued", **values)
    assert answer.status_code == 200, answer.text
    found = ProgressAnswer.from_wire(answer.get_json())
    assert not found.cancel
    assert (found.ask_again_seconds is None) == (found.queue_position is None)
    if found.ask_again_seconds is not None:
        assert 3 <= found.ask_again_seconds <= 30 < TURN_SECONDS
    return found.queue_position


def silent(site: Site, boot: Boot, seconds: float = TURN_SECONDS + 1) -> None:
    """Let nothing be heard of an attempt for so long."""
    gone = timedelta(seconds=seconds)
    with site.session() as session:
        row = attempts.get(session, boot.attempt)
        row.heard_at -= gone
        row.lapses_at = row.lapses_at - gone if row.lapses_at else None


def cancel(site: Site, boot: Boot) -> None:
    with site.session() as session:
        machine = machines.get(session, boot.mac, lock=True)
        row = attempts.get(session, boot.attempt)
        attempts.cancel(session, machine, row, by=OPERATOR, now=clock.now())


def unqueued(site: Site) -> list[str]:
    with site.session() as session:
        query = select(Event.message).where(Event.kind == "attempt.unqueued")
        return list(session.scalars(query))


def test_without_a_limit_it_is_everybodys_turn(site: Site) -> None:
    assert [ask(one) for one in boots(site, 5)] == [None] * 5


def test_the_first_who_asks_is_the_first_who_writes(site: Site) -> None:
    limit_to(site, 2)
    one, two, three, four = boots(site, 4)
    assert [ask(one), ask(two), ask(three), ask(four)] == [None, None, 1, 2]
    one.progress("writing", disk_bytes=1)
    assert ask(four) == 2  # asking often helps nobody
    one.done()
    assert ask(four) == 2  # it is the turn of three
    assert ask(three) is None
    two.failed()
    assert ask(four) is None


def test_asking_again_keeps_the_turn(site: Site) -> None:
    limit_to(site, 1)
    one, two = boots(site, 2)
    assert [ask(one), ask(one), ask(two), ask(one)] == [None, None, 1, None]
    one.progress("writing")
    one.progress("retrying")
    assert ask(one) is None  # it begins from scratch
    assert ask(two) == 1


@pytest.mark.parametrize("end", ["done", "failed", "cancelled", "superseded", "abandoned"])
def test_whoever_ends_frees_its_turn_at_once(site: Site, end: str) -> None:
    limit_to(site, 1)
    one, two = boots(site, 2)
    assert [ask(one), ask(two)] == [None, 1]
    one.progress("writing", disk_bytes=1)
    match end:
        case "done":
            one.done()
        case "failed":
            one.failed()
        case "cancelled":
            cancel(site, one)
            assert ask(two) == 1  # it still writes
            assert one.progress("writing").get_json()["cancel"] is True
            one.failed(code="cancelled")
        case "superseded":
            assert Boot.of(site, one.mac).progress("waiting").status_code == 200
        case _:
            with site.session() as session:
                attempts.get(session, one.attempt).state = State.ABANDONED
    assert ask(two) is None


def test_whoever_waits_and_is_cancelled_leaves_the_queue(site: Site) -> None:
    limit_to(site, 1)
    one, two, three = boots(site, 3)
    assert [ask(one), ask(two), ask(three)] == [None, 1, 2]
    cancel(site, two)
    assert ask(three) == 1
    assert two.progress("queued").get_json() == {
        "cancel": True,
        "queue_position": None,
        "ask_again_seconds": None,
    }


def test_a_turn_lapses_in_silence_and_a_place_too(site: Site) -> None:
    limit_to(site, 1)
    one, two, three = boots(site, 3)
    assert [ask(one), ask(two), ask(three)] == [None, 1, 2]
    silent(site, one, TURN_SECONDS - 10)
    assert ask(three) == 2
    silent(site, one)
    assert ask(three) == 2  # it is the turn of two
    silent(site, two)
    assert ask(three) is None
    # Neither has begun: they wait, in their old order.
    assert [ask(two), ask(one), ask(two)] == [1, 1, 2]


def test_who_comes_back_and_has_begun_goes_on_and_is_counted(site: Site) -> None:
    limit_to(site, 1)
    one, two, three = boots(site, 3)
    assert [ask(one), ask(two), ask(three)] == [None, 1, 2]
    one.progress("writing", disk_bytes=1)
    silent(site, one)
    assert ask(two) is None
    back = one.progress("writing", disk_bytes=2)
    assert (back.status_code, back.get_json()["queue_position"]) == (200, None)
    two.done()
    assert ask(three) == 1
    one.done()
    assert ask(three) is None
    assert unqueued(site) == []


def test_a_report_of_any_kind_keeps_the_turn(site: Site) -> None:
    limit_to(site, 1)
    one, two = boots(site, 2)
    ask(one)
    for phase in ("writing", "retrying", "verifying", "finishing", "provisioning"):
        silent(site, one, TURN_SECONDS - 10)
        one.progress(phase)
        assert ask(two) == 1, phase


def test_an_old_agent_is_not_refused_but_counted_and_noted_once(site: Site) -> None:
    limit_to(site, 1)
    one, two, three = boots(site, 3)
    assert ask(one) is None
    for _ in range(3):
        assert two.progress("writing", disk_bytes=1).status_code == 200
    assert unqueued(site) == [f"attempt {two.attempt} writes without having waited for its turn"]
    one.done()
    assert ask(three) == 1
    two.done()
    assert ask(three) is None


def test_trying_again_before_the_first_write_takes_no_turn(site: Site) -> None:
    limit_to(site, 1)
    one, two = boots(site, 2)
    assert ask(one) is None
    two.progress("retrying")
    assert unqueued(site) == []
    one.done()
    assert ask(two) is None


def test_a_wizard_in_the_queue_waits_for_no_person(site: Site) -> None:
    limit_to(site, 1)
    one, two = boots(site, 2, policy="tui")
    one.progress("waiting")
    two.progress("waiting")
    site.log_in()

    def states() -> list[str]:
        found = BeautifulSoup(site.client.get("/ui/machines").data, "html.parser")
        return [cell.get_text(" ", strip=True) for cell in found.select(".state")]

    def waiting() -> int:
        with site.session() as session:
            return attention.waiting(session, clock.now()).total

    assert (states(), waiting()) == (["wizard", "wizard"], 2)
    assert [ask(one), ask(two)] == [None, 1]
    assert (states(), waiting()) == (["queued", "queued"], 0)
    two.progress("waiting")
    assert (states(), waiting()) == (["queued", "wizard"], 1)


def test_who_did_not_wait_for_an_answer_is_noted_too(site: Site) -> None:
    limit_to(site, 1)
    one, two = boots(site, 2)
    assert [ask(one), ask(two)] == [None, 1]
    two.progress("writing")
    assert len(unqueued(site)) == 1


def test_a_wizard_asks_as_it_begins_and_gives_its_turn_back_when_it_goes_back(site: Site) -> None:
    limit_to(site, 1)
    wizard, other = boots(site, 2, policy="tui")
    wizard.progress("waiting")
    assert ask(other) is None  # who looks at a wizard holds nothing
    assert ask(wizard) == 1
    other.progress("waiting")
    assert ask(wizard) is None
    assert ask(other) == 1


def test_page_and_api_show_the_place(site: Site) -> None:
    limit_to(site, 1)
    one, two, three = boots(site, 3)
    assert [ask(one), ask(two), ask(three)] == [None, 1, 2]
    program = Program.of(site)
    assert [
        program.get(f"/attempts/{boot.attempt}").json["queue_position"]
        for boot in (one, two, three)
    ] == [None, 1, 2]
    listed = program.get("/attempts").json["items"]
    assert [item["queue_position"] for item in listed] == [2, 1, None]
    shown = program.get(f"/machines/{three.mac}").json
    assert shown["attempt"]["queue_position"] == 2
    site.log_in()
    pages = {
        boot.mac: " ".join(
            site.client.get(f"/ui/machines/{site.machine(boot.mac).id}").text.split()
        )
        for boot in (one, two, three)
    }
    assert "Its turn to write has come." in pages[one.mac]
    assert "It waits for its turn to write: it is next." in pages[two.mac]
    assert "It waits for its turn to write: place 2 in the queue." in pages[three.mac]
    alone = site.client.get(f"/ui/machines/{site.machine(two.mac).id}/attempts/{two.attempt}")
    assert "it is next" in alone.text
    one.done()
    assert ask(two) is None
    assert program.get(f"/attempts/{three.attempt}").json["queue_position"] == 1


def test_the_state_is_in_the_database(site: Site) -> None:
    limit_to(site, 1)
    one, two, three = boots(site, 3)
    assert [ask(one), ask(two), ask(three)] == [None, 1, 2]
    one.progress("writing")
    again = Site(site.settings, create_app(site.settings), site.client, site.engine)
    again.client = again.app.test_client()
    other = [replace(boot, site=again) for boot in (one, two, three)]
    assert [ask(other[2]), ask(other[1])] == [2, 1]
    other[0].done()
    assert ask(other[1]) is None
    with again.app.app_context():
        db.engine.dispose()


def test_nothing_lapses_while_the_server_is_away(site: Site) -> None:
    limit_to(site, 1)
    one, two, three = boots(site, 3)
    assert [ask(one), ask(two), ask(three)] == [None, 1, 2]
    one.progress("writing")
    for boot in (one, two, three):
        silent(site, boot, 200)
    _keep_turns(site.settings)
    assert ask(three) == 2
    assert ask(two) == 1


def test_a_limit_that_changes_counts_at_the_next_question(site: Site) -> None:
    limit_to(site, 1)
    one, two, three = boots(site, 3)
    assert [ask(one), ask(two), ask(three)] == [None, 1, 2]
    limit_to(site, 2)
    assert [ask(two), ask(three)] == [None, 1]
    limit_to(site, 1)
    one.done()
    assert ask(three) == 1
    limit_to(site, 0)
    assert ask(three) is None


def test_of_many_who_ask_at_once_as_many_get_a_turn_as_there_are(
    site: Site, server_settings: Settings
) -> None:
    """Each asks a process of its own, so that nothing but the database keeps them apart."""
    limit_to(site, 3)
    racers = boots(site, 12)
    tokens = [(boot, boot.token) for boot in racers]
    apps = [create_app(server_settings) for _ in range(4)]
    found: dict[int, int | None] = {}
    start = threading.Barrier(len(racers))

    def race(number: int, boot: Boot, token: str) -> None:
        client = apps[number % len(apps)].test_client()
        start.wait()
        answer = client.post(
            f"/pxe/{boot.mac}/progress",
            json={"phase": "queued"},
            headers={"Authorization": f"Bearer {token}"},
        )
        found[number] = answer.get_json()["queue_position"]

    threads = [
        threading.Thread(target=race, args=(number, *one)) for number, one in enumerate(tokens)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert list(found.values()).count(None) == 3
    # Two may read the clock in one order and get the lock in the other.
    assert len(found) == len(racers)
    with site.session() as session:
        turns = list(session.scalars(select(Attempt.id).where(Attempt.turn_at.is_not(None))))
    assert len(turns) == 3
    for app in apps:
        with app.app_context():
            db.engine.dispose()


def test_two_race_for_the_last_turn_again_and_again(site: Site, server_settings: Settings) -> None:
    limit_to(site, 1)
    pair = boots(site, 2)
    for _ in range(8):
        with site.session() as session:
            session.execute(update(Attempt).values(queued_at=None, turn_at=None, lapses_at=None))
        got: list[int | None] = []
        start = threading.Barrier(2)

        def race(number: int, start: threading.Barrier = start, got: Any = got) -> None:
            engine = database.make_engine(server_settings)
            boot = pair[number]
            start.wait()
            with database.working(engine) as session:
                machine = machines.get(session, boot.mac, lock=True)
                attempt = attempts.get(session, boot.attempt, lock=True)
                report = ProgressReport(phase=ReportedPhase.QUEUED)
                got.append(
                    reports.progress(
                        session, machine, attempt, report, flash_limit=1, now=clock.now()
                    ).queue_position
                )
            engine.dispose()

        threads = [threading.Thread(target=race, args=(number,)) for number in range(2)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert sorted(got, key=str) == [1, None]
