"""The list of machines: what it shows, how it is asked, and what is done to many at once."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup
from sqlalchemy import event

from bty_core.values import MacAddress
from bty_web.extensions import db
from bty_web.models import Attempt
from bty_web.models.words import AttemptMode, Policy, State, Trigger
from bty_web.services import machines
from tests.web.api.test_workflows import TASK
from tests.web.site import MAC, NOW, Site
from tests.web.ui.forms import words
from tests.web.ui.pages import Browser, said
from tests.web.ui.seed import seed

MACS = [MacAddress.parse(f"52:54:00:00:00:{number:02x}") for number in range(1, 6)]


@pytest.fixture
def room(browser: Browser) -> Browser:
    """Five machines, named a to e."""
    site = browser.site
    site.add_image("debian.img")
    for mac, name in zip(MACS, "abcde", strict=True):
        policy = "flash" if name in "ab" else "local"
        site.add_machine(mac, name=name, boot_policy=policy, image="debian.img", target="only")
    return browser


def rows(page: BeautifulSoup) -> list[str]:
    return [words(row) for row in page.select("tbody tr")]


def names(page: BeautifulSoup) -> str:
    return "".join(link.get_text() for link in page.select("tbody th a"))


def start(site: Site, mac: MacAddress, state: State = State.RUNNING) -> None:
    with site.session() as session:
        machine = machines.get(session, mac)
        attempt = Attempt(
            machine_id=machine.id,
            revision=machine.revision,
            state=state,
            mode=AttemptMode.AUTO,
            trigger=Trigger.POLICY,
            nonce="0" * 16,
            disk_bytes=500,
            total_bytes=1000,
            bytes_per_second=200_000_000,
            started_at=NOW,
            heard_at=NOW,
        )
        session.add(attempt)
        session.flush()
        machine.attempt_id = attempt.id


def test_an_empty_server_says_what_to_do(browser: Browser) -> None:
    empty = browser.get("/ui/machines").select_one(".empty")
    assert empty is not None
    assert words(empty) == (
        "No machine has shown itself yet Boot one from the network: it appears here by itself. "
        "Or add one by its MAC address ."
    )


def test_a_row_says_all_at_a_glance(room: Browser) -> None:
    start(room.site, MACS[0])
    assert rows(room.get("/ui/machines"))[0] == (
        "a 52:54:00:00:00:01 running 50 % · 200 MB/s debian.img flash every boot (flash) never"
    )


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", "abcde"),
        ("?sort=-name", "edcba"),
        ("?q=00:00:03", "c"),
        ("?q=00-00-03", "c"),
        ("?policy=flash", "ab"),
        ("?policy=nonsense", "abcde"),
        ("?image=debian.img", "abcde"),
        ("?image=-", ""),
        ("?group=-", "abcde"),
        ("?group=nowhere", ""),
        ("?state=active", "b"),
        ("?state=none", "acde"),
        ("?page=999999&size=abc&sort=;drop", "abcde"),
    ],
)
def test_what_is_asked_for_is_shown(room: Browser, query: str, shown: str) -> None:
    start(room.site, MACS[1])
    assert names(room.get(f"/ui/machines{query}")) == shown
    assert names(room.get(f"/ui/machines/table{query}")) == shown


def test_the_page_and_its_update_are_drawn_alike(room: Browser) -> None:
    page = room.get("/ui/machines?policy=flash")
    live = page.select_one("[data-live]")
    assert live is not None
    again = room.get(str(live["data-live-from"]))
    assert words(live) == words(again)
    assert str(live["data-live-from"]).startswith("/ui/machines/table?")
    assert "policy=flash" in str(live["data-live-from"])


def test_two_thousand_machines_cost_as_many_queries_as_two(browser: Browser) -> None:
    def queries(path: str) -> int:
        count = 0

        def counted(*_: object) -> None:
            nonlocal count
            count += 1

        with browser.site.app.app_context():
            engine = db.engine
        event.listen(engine, "before_cursor_execute", counted)
        try:
            assert browser.site.client.get(path).status_code == 200
        finally:
            event.remove(engine, "before_cursor_execute", counted)
        return count

    paths = ("/ui/machines", "/ui/machines?q=node&sort=-seen")
    browser.site.client.get(paths[0])
    for mac in ("52:54:00:99:00:01", "52:54:00:99:00:02"):
        browser.site.add_machine(MacAddress.parse(mac))
    few = [queries(path) for path in paths]
    with browser.site.session() as session:
        seed(session, 2000)
    assert [queries(path) for path in paths] == few


def test_a_machine_is_added_by_hand(browser: Browser) -> None:
    page = browser.get("/ui/machines/add")
    form = page.select_one("main form")
    assert form is not None
    form["action"] = "/ui/machines/add"
    shown = browser.sent(page, "/ui/machines/add", mac="52-54-00-12-34-56", name="bench")
    assert said(shown) == ["bench is added: say what it shall do."]
    assert browser.site.machine(MAC).name == "bench"
    again = browser.send(page, "/ui/machines/add", mac=str(MAC))
    assert again.status_code == 409
    assert said(BeautifulSoup(again.data, "html.parser")) == [
        f"{MAC} belongs to a machine that is there already"
    ]
    wrong = browser.send(page, "/ui/machines/add", mac="nonsense")
    assert wrong.status_code == 422


def bulk(room: Browser, button: str, query: str = "", **values: object) -> BeautifulSoup:
    page = room.get(f"/ui/machines{query}")
    for box in page.select("[data-choosing] input[type=checkbox]"):
        box.extract()
    answer = room.send(page, "/ui/machines/bulk", button=f"action={button}", **values)
    assert answer.status_code == 200
    return BeautifulSoup(answer.data, "html.parser")


def ids(room: Browser, *numbers: int) -> list[int]:
    return [room.site.machine(MACS[number]).id for number in numbers]


def test_nothing_checked_is_nothing_done(room: Browser) -> None:
    page = room.get("/ui/machines")
    answer = room.send(page, "/ui/machines/bulk", button="action=remove", id=[])
    assert said(room.get(answer.headers["Location"])) == ["Choose at least one machine first."]


def test_removing_names_the_machines_first(room: Browser) -> None:
    asked = bulk(room, "remove", id=ids(room, 0, 2))
    assert [words(one) for one in asked.select("h1, .named li")] == [
        "Remove these 2 machines?",
        "a",
        "c",
    ]
    assert names(room.get("/ui/machines")) == "abcde"
    done = room.sent(asked, "/ui/machines/bulk/remove", id=ids(room, 0, 2))
    assert (said(done), names(done)) == (["2 machines are removed."], "bde")


def test_a_machine_that_is_being_flashed_is_left_alone(room: Browser) -> None:
    start(room.site, MACS[0])
    asked = bulk(room, "remove", all="yes", query="?policy=flash")
    done = room.sent(asked, "/ui/machines/bulk/remove")
    assert said(done) == ["1 machine is removed.", "Left alone: a is being flashed"]


def test_all_that_match_are_those_that_were_named(room: Browser) -> None:
    asked = bulk(room, "reflash", all="yes", query="?policy=flash")
    assert words(asked.select("h1")[0]) == "Flash these 2 machines?"
    more = {"boot_policy": "flash", "image": "debian.img", "target": "only"}
    room.site.add_machine(MacAddress.parse("52:54:00:00:00:99"), **more)
    refused = room.send(asked, "/ui/machines/bulk/reflash")
    assert refused.status_code == 409
    again = BeautifulSoup(refused.data, "html.parser")
    assert said(again) == [
        "2 machines matched when you were asked, 3 do now "
        "look again, and confirm it if that is what you mean"
    ]
    assert room.site.machine(MACS[0]).reflash_armed_at is None
    done = room.sent(again, "/ui/machines/bulk/reflash")
    assert said(done) == ["3 machines are flashed at the next network boot."]
    assert room.site.machine(MACS[0]).reflash_armed_at is not None
    assert room.site.machine(MACS[2]).reflash_armed_at is None


def test_a_machine_without_an_image_is_not_reflashed_with_the_others(room: Browser) -> None:
    room.site.add_machine(MacAddress.parse("52:54:00:00:00:99"), name="bare")
    asked = bulk(room, "reflash", all="yes")
    done = room.sent(asked, "/ui/machines/bulk/reflash")
    assert said(done) == [
        "5 machines are flashed at the next network boot.",
        "Left alone: bare cannot be flashed as it is assigned: no image is assigned",
    ]


def test_a_policy_is_said_in_words_wherever_it_is_chosen(room: Browser) -> None:
    words_of = {
        "local": "own disk (local)",
        "tui": "wizard (tui)",
        "flash": "flash every boot (flash)",
        "flash-once": "flash once (flash-once)",
        "flash-cycle": "flash every other boot (flash-cycle)",
    }
    page = room.get("/ui/machines")
    assert [words(one) for one in page.select("#by-policy option")] == ["any", *words_of.values()]
    asked = bulk(room, "assign", id=ids(room, 0))
    offered = {one["value"]: words(one) for one in asked.select("#to_boot_policy option[value]")}
    assert offered == {"": "leave as it is", **words_of}
    assert [words(one) for one in asked.select("#policies dt")] == list(words_of.values())
    machine = room.get(f"/ui/machines/{ids(room, 0)[0]}")
    chosen = machine.select(".choice:has([name=boot_policy]) strong")
    assert [words(one) for one in chosen] == list(words_of.values())
    defaults = room.get("/ui/settings").select("#default_policy option")
    assert [words(one) for one in defaults] == [
        "wizard (tui): waits for a person",
        "own disk (local): for a network that is shared",
    ]
    assert "flash every boot (flash)" in words(room.get("/ui/image/debian.img").find("main"))


@pytest.mark.parametrize(
    ("query", "is_open"),
    [
        ("", False),
        ("?q=a", False),
        ("?group=-", True),
        ("?policy=tui&q=a", True),
        ("?size=25", True),
    ],
)
def test_filters_are_folded_unless_one_is_set(room: Browser, query: str, is_open: bool) -> None:
    folded = room.get(f"/ui/machines{query}").select_one(".filters details")
    assert folded is not None
    assert folded.has_attr("open") is is_open
    assert len(folded.select("select")) == 5
    assert not folded.select("#q, button")


def test_all_machines_are_chosen_where_the_others_are(room: Browser) -> None:
    bar = room.get("/ui/machines").select_one(".bulk")
    assert words(bar) == "Choose all 5 machines With the chosen machines: Assign… Reflash… Remove…"


def test_assigning_many_changes_only_what_was_chosen(room: Browser) -> None:
    room.site.add_image("new.img")
    room.site.add_workflow("prove", {"task.yaml": TASK})
    asked = bulk(room, "assign", id=ids(room, 3, 4))
    assert [one.get("value") for one in asked.select("#to_workflow option")] == [
        "",
        "-",
        "prove",
        "prove@1",
    ]
    done = room.sent(
        asked,
        "/ui/machines/bulk/assign",
        id=ids(room, 3, 4),
        to_image="new.img",
        to_boot_policy="flash-once",
        to_provisioning_mode="cijoe-online",
        to_workflow="prove",
        to_uefi_entry="yes",
    )
    assert said(done) == ["2 machines are changed."]
    changed, other = room.site.machine(MACS[3]), room.site.machine(MACS[0])
    assert (changed.image, changed.target, changed.boot_policy, changed.name) == (
        "new.img",
        "only",
        Policy.FLASH_ONCE,
        "d",
    )
    assert (changed.verify, changed.fix_gpt, changed.uefi_entry) == (True, False, True)
    assert (changed.provisioning_mode, changed.workflow) == ("cijoe-online", "prove")
    assert other.image == "debian.img"


def test_a_value_that_cannot_be_changes_nothing_and_is_kept_in_the_form(room: Browser) -> None:
    asked = bulk(room, "assign", id=ids(room, 3))
    answer = room.send(asked, "/ui/machines/bulk/assign", id=ids(room, 3), to_target="size>=lots")
    assert answer.status_code == 422
    page = BeautifulSoup(answer.data, "html.parser")
    assert page.select("#to_target")[0]["value"] == "size>=lots"
    assert room.site.machine(MACS[3]).target == "only"
