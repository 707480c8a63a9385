"""The page of events."""

from __future__ import annotations

from datetime import timedelta

from bty_web.services import machines
from bty_web.services.history import Actor, record
from tests.web.site import MAC, NOW, OPERATOR, Site
from tests.web.ui.forms import page, submit, words


def happen(site: Site, kind: str, message: str, *, subject: str = "", count: int = 1) -> None:
    with site.session() as session:
        for number in range(count):
            record(
                session,
                kind,
                message.format(number),
                by=OPERATOR,
                now=NOW + timedelta(seconds=number),
                subject=subject,
            )


def shown(found: object) -> list[str]:
    return [words(row) for row in found.select("tbody tr")]  # type: ignore[attr-defined]


def test_nobody_reads_events_without_a_login(site: Site) -> None:
    answer = site.client.get("/ui/events")
    assert answer.status_code == 302
    assert answer.location.startswith("/ui/login")


def test_an_event_says_when_what_about_whom_and_who(site: Site) -> None:
    site.log_in()
    happen(site, "settings.changed", "event_days: 30", subject="settings")
    found = page(site, "/ui/events")
    first = found.select("tbody tr")[0]
    time = first.find("time")
    assert time is not None
    assert time["datetime"] == "2026-11-01T12:00:00+00:00"
    assert "event_days: 30" in words(first)
    assert "operator" in words(first)
    assert "192.0.2.1" in words(first)
    assert "kept for 90 days" in words(found.find("caption"))


def test_a_machine_is_linked_as_long_as_it_is_there(site: Site) -> None:
    site.log_in()
    site.add_machine()
    with site.session() as session:
        machine = machines.get(session, MAC)
        record(session, "machine.reflash", "armed", by=OPERATOR, now=NOW, machine=machine)
    link = page(site, "/ui/events?kind=machine").select_one("tbody a")
    assert link is not None
    assert str(MAC).replace(":", "") in str(link["href"]).lower().replace(":", "").replace(
        "-", ""
    ).replace("%3a", "")
    with site.session() as session:
        machines.forget(session, machines.get(session, MAC), by=OPERATOR, now=NOW)
    assert page(site, "/ui/events?q=armed").select_one("tbody a") is None


def test_search_and_kind_narrow_the_list_together(site: Site) -> None:
    site.log_in()
    happen(site, "image.added", "debian is ready", subject="debian.img")
    happen(site, "image.removed", "fedora was deleted", subject="fedora.img")
    happen(site, "live.installed", "debian 13 is active", subject="13")
    answer = submit(site, "/ui/events", "Show", q="debian", kind="image")
    assert b"debian is ready" in answer.data
    assert b"fedora was deleted" not in answer.data
    assert b"debian 13 is active" not in answer.data


def test_every_kind_that_is_recorded_can_be_chosen() -> None:
    import re
    from pathlib import Path

    import bty_web
    from bty_web.ui.events import KINDS

    source = Path(bty_web.__file__).parent
    kinds = {
        found[1]
        for path in source.rglob("*.py")
        for found in re.finditer(r'"([a-z]+)\.[a-z-]+"', path.read_text("utf-8"))
        if "record" in path.read_text("utf-8")
    }
    assert {"machine", "attempt", "settings", "token", "user", "dhcp", "live"} <= kinds & set(KINDS)


def test_pages_keep_what_was_looked_for(site: Site) -> None:
    site.log_in()
    happen(site, "image.added", "number {}", subject="x", count=120)
    found = page(site, "/ui/events?q=number&kind=image")
    assert len(shown(found)) == 50
    assert "number 119" in shown(found)[0]
    links = [str(a["href"]) for a in found.select("main nav a[href]") if "page=2" in str(a["href"])]
    assert links
    second = page(site, links[0])
    assert "number 69" in shown(second)[0]
    assert "kind=image" in links[0]
    assert "q=number" in links[0]


def test_an_empty_search_says_how_to_see_all_again(site: Site) -> None:
    site.log_in()
    found = page(site, "/ui/events?q=nonsense")
    assert "No event matches" in words(found.find("main"))
    assert found.select_one('main a[href="/ui/events"]') is not None


def test_what_strangers_write_stays_text(site: Site) -> None:
    site.log_in()
    hostile = '"><script>alert(1)</script>'
    with site.session() as session:
        record(
            session,
            "login.failed",
            hostile,
            by=Actor(hostile, hostile[:45]),
            now=NOW,
            subject=hostile,
        )
    answer = site.client.get("/ui/events", query_string={"q": hostile})
    assert b"<script>alert" not in answer.data
    assert b"&lt;script&gt;alert" in answer.data
