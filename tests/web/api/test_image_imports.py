"""Images that are fetched from a URL, asked for by the API."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import Any

import pytest
from sqlalchemy import select

from bty_web.jobs import queue
from bty_web.jobs.work import Work
from bty_web.models import Event, Job
from bty_web.models.words import Scope
from tests.fakes.server import Fault, ImageServer
from tests.web.api.programs import Program
from tests.web.pxe.walk import Boot, add_live_environment
from tests.web.site import NOW, Site

DATA = bytes(range(256)) * 8192  # 2 MiB
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of what was queued."""
    found: list[int] = []
    monkeypatch.setattr(queue, "enqueue", lambda _, numbers: found.extend(numbers))
    return found


def perform(site: Site, number: int) -> None:
    """Do a job, as a worker does."""
    Work(site.settings, site.engine, threading.Event()).perform(number)


def names(site: Site) -> list[str]:
    return sorted(path.name for path in site.settings.image_root.iterdir())


def ended(program: Program, number: int) -> tuple[str, str | None]:
    job = program.get(f"/jobs/{number}").json
    return job["state"], job["code"]


def told(site: Site) -> list[tuple[str, str, str | None, str]]:
    with site.session() as session:
        found = session.scalars(select(Event).where(Event.kind.like("image%")).order_by(Event.id))
        return [(one.kind, one.actor, one.address, one.message) for one in found]


def test_an_image_is_fetched_checked_and_told_of(site: Site, queued: list[int]) -> None:
    program = Program.of(site, Scope.OPERATE)
    with ImageServer(DATA) as server:
        url = server.url.replace("//", "//user:hunter2@") + "?key=hunter3"
        shown = server.url
        answer = program.json("POST", "/images", {"url": url, "sha256": DIGEST})
        assert answer.status_code == 202
        job = answer.json
        number = job["id"]
        assert answer.headers["Location"] == f"/api/v1/jobs/{number}"
        assert job.pop("created_at").endswith("Z")
        assert job == {
            "id": number,
            "kind": "import",
            "subject": "debian.img",
            "source": shown,
            "state": "queued",
            "done_bytes": 0,
            "total_bytes": None,
            "tries": 0,
            "asked_by": "token ci operate",
            "ended_at": None,
            "code": None,
            "message": None,
            "hint": None,
        }
        assert queued == [number]
        perform(site, number)
        assert {one.headers.get("Authorization") for one in server.transfers} == {
            "Basic dXNlcjpodW50ZXIy"
        }
    done = program.get(f"/jobs/{number}")
    assert (done.json["state"], done.json["code"]) == ("done", None)
    assert (site.settings.image_root / "debian.img").read_bytes() == DATA
    assert names(site) == ["debian.img"]
    assert [(kind, actor) for kind, actor, *_ in told(site)] == [
        ("image.import", "token ci operate"),
        ("image.imported", "token ci operate"),
    ]
    with site.session() as session:
        job = session.get_one(Job, number)
        kept = str([job.arguments, job.message, job.hint, job.result])
    for text in (str(told(site)), program.get("/jobs").text, done.text, kept):
        assert "hunter" not in text
    assert told(site)[1][3] == f"debian.img was imported from {shown}"


def test_a_failure_does_not_tell_what_the_url_gave_access_with(
    site: Site, queued: list[int]
) -> None:
    program = Program.of(site, Scope.OPERATE)
    with ImageServer(DATA) as server:
        url = server.url_of("gone.img")
        secret = f"{url.replace('//', '//user:hunter2@')}?key=hunter3&list='a'&until=5"
        program.json("POST", "/images", {"url": secret})
        perform(site, queued[0])
    job = program.get(f"/jobs/{queued[0]}").json
    assert (job["state"], job["code"], job["source"]) == ("failed", "image-unavailable", url)
    assert job["message"].startswith(f"{url} ")
    with site.session() as session:
        row = session.get_one(Job, queued[0])
        kept = str([row.arguments, row.message, row.hint])
    kept += str(told(site))
    assert not [word for word in ("hunter", "until", "key=") if word in kept]


def test_one_that_is_stopped_forgets_its_secrets(site: Site, queued: list[int]) -> None:
    program = Program.of(site)
    program.json("POST", "/images", {"url": "http://user:hunter2@192.0.2.1/a.img?key=hunter3"})
    [number] = queued
    with site.session() as session:
        assert "hunter3" in session.get_one(Job, number).arguments["url"]  # its work needs it
    program.ask("POST", f"/jobs/{number}/cancel")
    with site.session() as session:
        assert session.get_one(Job, number).arguments["url"] == "http://192.0.2.1/a.img"


def test_a_digest_that_is_another_or_a_server_that_has_nothing_leaves_nothing(
    site: Site, queued: list[int]
) -> None:
    program = Program.of(site)
    with ImageServer(DATA) as server:
        wrong = {"url": server.url, "name": "a.img", "sha256": "0" * 64}
        program.json("POST", "/images", wrong)
        program.json("POST", "/images", {"url": server.url_of("gone.img")})
        for number in queued:
            perform(site, number)
    assert [ended(program, number) for number in queued] == [
        ("failed", "digest-mismatch"),
        ("failed", "image-unavailable"),
    ]
    assert names(site) == []


def test_an_image_that_is_being_flashed_by_then_is_kept(site: Site, queued: list[int]) -> None:
    program = Program.of(site)
    add_live_environment(site)
    (site.settings.image_root / "debian.img").write_bytes(b"the old one")
    site.add_image()
    site.add_machine(name="alpha", image="debian.img", target="largest", boot_policy="flash")
    with ImageServer(DATA) as server:
        program.json("POST", "/images", {"url": server.url, "replace": True})
        boot = Boot.of(site)
        boot.progress()
        perform(site, queued[0])
    job = program.get(f"/jobs/{queued[0]}").json
    assert (job["state"], job["code"], job["message"]) == (
        "failed",
        "conflict",
        "debian.img is being flashed onto alpha",
    )
    assert (site.settings.image_root / "debian.img").read_bytes() == b"the old one"
    assert names(site) == ["debian.img"]


def test_one_that_is_queued_is_cancelled_at_once(site: Site, queued: list[int]) -> None:
    program = Program.of(site)
    with ImageServer(DATA) as server:
        program.json("POST", "/images", {"url": server.url})
        [number] = queued
        answer = program.ask("POST", f"/jobs/{number}/cancel")
        assert (answer.status_code, answer.json["state"]) == (200, "cancelled")
        perform(site, number)
        assert server.seen == []
    again = program.ask("POST", f"/jobs/{number}/cancel")
    assert (again.status_code, again.json["detail"]) == (
        409,
        f"job {number} has ended: it is cancelled",
    )
    kinds = [(kind, actor, address) for kind, actor, address, _ in told(site)]
    assert kinds == [
        ("image.import", "token ci admin", "127.0.0.1"),
        ("image.import-stopped", "token ci admin", "127.0.0.1"),
    ]


def test_one_that_runs_stops_and_leaves_nothing(
    site: Site, queued: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bty_web.jobs.work.HEARTBEAT", 0.05)
    program = Program.of(site)
    with ImageServer(DATA * 8, then=Fault(pause=0.1)) as server:
        program.json("POST", "/images", {"url": server.url})
        [number] = queued
        working = threading.Thread(target=perform, args=(site, number))
        working.start()
        limit = time.monotonic() + 20
        while not program.get(f"/jobs/{number}").json["done_bytes"]:
            assert time.monotonic() < limit
            time.sleep(0.02)
        answer = program.ask("POST", f"/jobs/{number}/cancel")
        assert (answer.status_code, answer.json["state"]) == (200, "running")
        working.join(20)
        assert not working.is_alive()
    assert ended(program, number)[0] == "cancelled"
    assert names(site) == []


def test_a_name_that_is_taken_or_on_its_way_is_refused_and_may_be_replaced(
    site: Site, queued: list[int]
) -> None:
    program = Program.of(site)
    (site.settings.image_root / "debian.img").write_bytes(b"old")
    with ImageServer(DATA) as server:
        taken = program.json("POST", "/images", {"url": server.url})
        assert (taken.status_code, taken.json["detail"]) == (
            409,
            "there is an image 'debian.img' already",
        )
        wanted = {"url": server.url, "replace": True}
        assert program.json("POST", "/images", wanted).status_code == 202
        twice = program.json("POST", "/images", wanted)
        assert (twice.status_code, twice.json["detail"]) == (
            409,
            "debian.img is being imported already",
        )
        [number] = queued
        perform(site, number)
    assert ended(program, number) == ("done", None)
    assert (site.settings.image_root / "debian.img").read_bytes() == DATA


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": "ftp://example.org/a.img"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": "http://[::1/a.img"}, "url"),
        ({"url": "http://example.org:99999/a.img"}, "url"),
        ({"url": "http://example.org/a b.img"}, "url"),
        ({"url": "http://example.org/" + "a" * 2000}, "url"),
        ({"url": "http://example.org/%2e%2e%2fa.img"}, "name"),
        ({"url": "http://example.org/%00.img"}, "url"),
        ({"url": "http://example.org/a.img", "name": "../a.img"}, "name"),
        ({"url": "http://example.org/a.img", "name": ".a.img"}, "name"),
        ({"url": "http://example.org/a.img", "name": ""}, "name"),
        ({"url": "http://example.org/a.img", "sha256": "abc"}, "sha256"),
        ({"url": "http://example.org/a.img", "replace": "yes"}, "replace"),
        ({"url": "http://example.org/a.img", "digest": "abc"}, "digest"),
    ],
)
def test_what_cannot_be_fetched_is_refused_with_the_field(
    site: Site, queued: list[int], body: dict[str, Any], field: str
) -> None:
    answer = Program.of(site).json("POST", "/images", body)
    assert (answer.status_code, answer.json["field"]) == (422, field)
    assert queued == []


def test_only_imports_are_cancelled_and_only_by_operators(site: Site) -> None:
    with site.session() as session:
        job = Job(kind="measure", subject="a.img", arguments={}, asked_by="bty", created_at=NOW)
        session.add(job)
        session.flush()
        number = job.id
    program = Program.of(site)
    answer = program.ask("POST", f"/jobs/{number}/cancel")
    assert (answer.status_code, answer.json["detail"]) == (409, f"job {number} is no import")
    assert ended(program, number) == ("queued", None)
    assert program.ask("POST", f"/jobs/{number + 1}/cancel").status_code == 404
    reader = Program.of(site, Scope.READ)
    assert reader.ask("POST", f"/jobs/{number}/cancel").status_code == 403
    assert reader.json("POST", "/images", {"url": "http://example.org/a.img"}).status_code == 403
