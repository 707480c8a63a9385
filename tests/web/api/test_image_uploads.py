"""Images that come and go by the API: uploaded, described, deleted."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select

from bty_core.values import MIB
from bty_web.database import working
from bty_web.errors import Conflict
from bty_web.jobs.work import Work
from bty_web.models import Event, Image, Job
from bty_web.models.words import Scope
from bty_web.services import catalog, uploads
from bty_web.services.history import record
from tests.web.api.programs import Program
from tests.web.pxe.walk import Boot, add_live_environment
from tests.web.site import NOW, OPERATOR, Site

DATA = bytes(range(256)) * 8192  # 2 MiB
DIGEST = hashlib.sha256(DATA).hexdigest()
OTHER = b"\1" * MIB


class Body:
    """What a client sends: `data`, and then its end, or a failure of the connection."""

    def __init__(self, data: bytes, failure: Exception | None = None) -> None:
        self.data = data
        self.failure = failure
        self.reads = 0
        self.between: Callable[[], None] | None = None  # happens while the body is being read

    def read(self, size: int = -1, /) -> bytes:
        self.reads += 1
        if self.between is not None:
            self.between()
        found, self.data = self.data[:size], self.data[size:]
        if not found and self.failure is not None:
            raise self.failure
        return found


def put(
    program: Program,
    name: str,
    body: bytes | Body = DATA,
    query: str = "",
    *,
    length: int | None = None,
    **said: Any,
) -> Any:
    """Upload; a `Body` arrives as gunicorn hands it on, which knows where it ends."""
    if isinstance(body, Body):
        promised = "" if length is None else str(length)
        overrides = {
            "wsgi.input": body,
            "wsgi.input_terminated": True,
            "CONTENT_LENGTH": promised,
        }
        said = {"environ_overrides": overrides, **said}
    else:
        said = {"data": body, **said}
    said.setdefault("content_type", "application/octet-stream")
    return program.ask("PUT", f"/images/{quote(name, safe='')}{query}", **said)


def names(site: Site) -> list[str]:
    """Return what lies in the image root, unfinished files too."""
    return sorted(path.name for path in site.settings.image_root.iterdir())


def told(site: Site, kind: str) -> list[tuple[str, str, str | None, str]]:
    with site.session() as session:
        found = session.scalars(select(Event).where(Event.kind == kind).order_by(Event.id))
        return [(one.subject, one.actor, one.address, one.message) for one in found]


def nothing_came(site: Site) -> None:
    """No file, row, job or event was left."""
    assert names(site) == []
    with site.session() as session:
        assert session.scalars(select(Image)).all() == []
        assert session.scalars(select(Job)).all() == []
    assert told(site, "image.uploaded") == []


def measure(site: Site) -> None:
    """Do the jobs that are queued."""
    with site.session() as session:
        waiting = session.scalars(select(Job.id).where(Job.state == "queued")).all()
    work = Work(site.settings, site.engine, threading.Event())
    for number in waiting:
        work.perform(number)


def test_an_upload_is_in_the_catalog_at_once_and_measured_soon(site: Site) -> None:
    program = Program.of(site, Scope.OPERATE)
    answer = put(program, "débian 13.img", query=f"?sha256={DIGEST.upper()}")
    assert answer.status_code == 201
    assert answer.headers["Location"] == "/api/v1/images/d%C3%A9bian%2013.img"
    shown = answer.json
    added = shown.pop("added_at")
    assert added.endswith("Z")
    assert shown == {
        "name": "débian 13.img",
        "state": "measuring",
        "format": None,
        "size_bytes": len(DATA),
        "virtual_size_bytes": None,
        "sha256": None,
        "disk_sha256": None,
        "description": None,
        "warnings": [],
        "message": None,
        "hint": None,
        "measured_at": None,
        "machines": 0,
    }
    assert (site.settings.image_root / "débian 13.img").read_bytes() == DATA
    assert names(site) == ["débian 13.img"]
    event = (
        "débian 13.img",
        "token ci operate",
        "127.0.0.1",
        "débian 13.img was uploaded: 2.10 MB",
    )
    assert told(site, "image.uploaded") == [event]
    [job] = program.get("/jobs").json["items"]
    assert (job["kind"], job["subject"], job["state"]) == ("measure", "débian 13.img", "queued")
    measure(site)
    ready = program.get("/images/d%C3%A9bian%2013.img").json
    assert (ready["state"], ready["sha256"], ready["disk_sha256"]) == ("ready", DIGEST, DIGEST)


def test_a_body_without_a_length_is_taken_to_its_end(site: Site) -> None:
    chunked = {"Transfer-Encoding": "chunked"}
    answer = put(Program.of(site), "a.img", Body(DATA), headers=chunked)
    assert (answer.status_code, answer.json["size_bytes"]) == (201, len(DATA))
    assert (site.settings.image_root / "a.img").read_bytes() == DATA


@pytest.mark.parametrize(
    "failure", [ConnectionResetError(104, "reset"), ValueError("no chunk"), OSError()]
)
def test_of_a_client_that_breaks_off_nothing_stays(site: Site, failure: Exception) -> None:
    answer = put(Program.of(site), "a.img", Body(DATA, failure), length=3 * len(DATA))
    assert (answer.status_code, answer.json["code"]) == (422, "image-corrupt")
    assert answer.json["detail"] == f"the body broke off after {len(DATA)} bytes"
    nothing_came(site)


def test_a_body_that_is_not_what_was_promised_is_refused(site: Site) -> None:
    program = Program.of(site)
    short = put(program, "a.img", Body(DATA), length=len(DATA) + 1)
    assert (short.status_code, short.json["detail"]) == (
        422,
        f"a.img was cut short: {len(DATA)} bytes of {len(DATA) + 1} came",
    )
    long = put(program, "a.img", Body(DATA), length=len(DATA) - 1)
    assert (long.status_code, long.json["code"]) == (422, "image-corrupt")
    other = put(program, "a.img", query=f"?sha256={'0' * 64}")
    assert (other.status_code, other.json["code"]) == (422, "digest-mismatch")
    empty = put(program, "a.img", b"")
    assert (empty.status_code, empty.json["detail"]) == (422, "a.img is empty")
    nothing_came(site)


@pytest.mark.parametrize(
    "name", ["..", ".hidden.img", "notes.yaml", "a.img.sha256", "a.img\u200b", "é" * 128, " a.img"]
)
def test_a_name_that_cannot_be_is_refused_before_the_body_is_read(site: Site, name: str) -> None:
    body = Body(DATA)
    answer = put(Program.of(site), name, body, length=len(DATA))
    assert (answer.status_code, answer.json["field"]) == (422, "name")
    assert body.reads == 0
    nothing_came(site)


@pytest.mark.parametrize("path", ["/images/../a.img", "/images/%2e%2e%2fa.img", "/images/a%2Fb"])
def test_no_path_leads_out_of_the_image_root(site: Site, path: str) -> None:
    answer = Program.of(site).ask("PUT", path, data=DATA)
    assert answer.status_code == 404
    nothing_came(site)
    assert not (site.settings.image_root.parent / "a.img").exists()


def test_the_longest_names_that_file_systems_take_can_be_uploaded_and_deleted(site: Site) -> None:
    program = Program.of(site)
    for name in ("é" * 125 + ".img!", "x" * 255):
        assert len(name.encode()) == 255
        assert put(program, name).status_code == 201
        described = program.json("PATCH", f"/images/{quote(name)}", {"description": "long"})
        assert (described.status_code, described.json["code"]) == (409, "conflict")
        assert program.ask("DELETE", f"/images/{quote(name)}").status_code == 204
    assert names(site) == []


def test_a_name_that_is_taken_is_refused_before_the_body_is_read_or_replaced(site: Site) -> None:
    program = Program.of(site)
    put(program, "a.img")
    measure(site)
    body = Body(OTHER)
    taken = put(program, "a.img", body, length=len(OTHER))
    assert (taken.status_code, taken.json["detail"], taken.json["hint"]) == (
        409,
        "there is an image 'a.img' already",
        "delete it first, or replace it",
    )
    assert body.reads == 0
    assert (site.settings.image_root / "a.img").read_bytes() == DATA
    cut = put(program, "a.img", Body(OTHER), "?replace=true", length=len(OTHER) + 1)
    assert cut.status_code == 422
    assert program.get("/images/a.img").json["sha256"] == DIGEST
    replaced = put(program, "a.img", OTHER, "?replace=true")
    assert (replaced.status_code, "Location" in replaced.headers) == (200, False)
    assert (replaced.json["state"], replaced.json["sha256"]) == ("measuring", None)
    measure(site)
    assert program.get("/images/a.img").json["sha256"] == hashlib.sha256(OTHER).hexdigest()
    assert [message for *_, message in told(site, "image.uploaded")] == [
        "a.img was uploaded: 2.10 MB",
        "a.img was replaced: 1.05 MB",
    ]
    assert names(site) == ["a.img"]


def test_two_uploads_of_one_name_at_the_same_moment_leave_the_first(site: Site) -> None:
    program = Program.of(site)
    body = Body(OTHER)

    def other_comes() -> None:
        (site.settings.image_root / "a.img").write_bytes(DATA)

    body.between = other_comes
    late = put(program, "a.img", body, length=len(OTHER))
    assert (late.status_code, late.json["code"]) == (409, "conflict")
    assert names(site) == ["a.img"]
    assert (site.settings.image_root / "a.img").read_bytes() == DATA


def test_while_a_body_is_read_the_database_is_free(site: Site) -> None:
    program = Program.of(site)
    body = Body(DATA)
    with site.app.app_context():
        from bty_web.extensions import db

        pool: Any = db.engine.pool
    held = []

    def other_writes() -> None:
        held.append(pool.checkedout())
        with working(site.engine) as session:
            record(session, "test", "written meanwhile", by=OPERATOR, now=NOW)

    body.between = other_writes
    assert put(program, "a.img", body, length=len(DATA)).status_code == 201
    assert set(held) == {0}
    assert len(held) > 2


def test_no_room_is_said_before_the_body_is_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "free_bytes", lambda _: MIB)
    body = Body(DATA)
    answer = put(Program.of(site), "a.img", body, length=len(DATA))
    assert (answer.status_code, answer.json["code"], body.reads) == (507, "no-room", 0)
    nothing_came(site)


@pytest.mark.parametrize("query", ["?replace=yes", "?replace=1", "?sha256=abc", "?overwrite=true"])
def test_a_query_that_is_wrong_is_refused_before_the_body_is_read(site: Site, query: str) -> None:
    body = Body(DATA)
    answer = put(Program.of(site), "a.img", body, query, length=len(DATA))
    assert (answer.status_code, body.reads) == (422, 0)
    assert answer.json["field"] == query[1:].partition("=")[0]


def test_readers_and_forms_are_refused_before_the_body_is_read(site: Site) -> None:
    body = Body(DATA)
    reader = put(Program.of(site, Scope.READ), "a.img", body, length=len(DATA))
    assert reader.status_code == 403
    form = put(
        Program.of(site), "a.img", body, content_type="multipart/form-data", length=len(DATA)
    )
    assert (form.status_code, form.json["detail"]) == (
        415,
        "the body must be application/octet-stream, not multipart/form-data",
    )
    assert body.reads == 0


def test_a_description_goes_beside_the_file(site: Site) -> None:
    program = Program.of(site)
    put(program, "a.img")
    beside = site.settings.image_root / "a.img.yaml"
    beside.write_text("owner: lab\n")
    answer = program.json("PATCH", "/images/a.img", {"description": "for  the lab: “stable”"})
    assert (answer.status_code, answer.json["description"]) == (200, "for the lab: “stable”")
    assert beside.read_text() == "description: 'for the lab: “stable”'\nowner: lab\n"
    assert program.get("/images?search=stable").json["total"] == 1
    event = ("a.img", "token ci admin", "127.0.0.1", "a.img: for the lab: “stable”")
    assert told(site, "image.described") == [event]
    none = program.json("PATCH", "/images/a.img", {"description": ""})
    assert none.json["description"] is None
    for wrong in ({}, {"description": None}, {"description": "a\nb"}, {"description": "x" * 1001}):
        refused = program.json("PATCH", "/images/a.img", wrong)
        assert (refused.status_code, refused.json["field"]) == (422, "description")
    gone = program.json("PATCH", "/images/b.img", {"description": "x"})
    assert gone.status_code == 404


def test_deleting_takes_the_file_and_what_lies_beside_it(site: Site) -> None:
    program = Program.of(site)
    put(program, "a.img")
    program.json("PATCH", "/images/a.img", {"description": "x"})
    site.add_machine(image="a.img")
    answer = program.ask("DELETE", "/images/a.img")
    assert (answer.status_code, answer.data) == (204, b"")
    assert names(site) == []
    assert program.get("/images/a.img").status_code == 404
    assert program.ask("DELETE", "/images/a.img").status_code == 404
    assert site.machine().image == "a.img"  # an assignment keeps the name
    assert told(site, "image.deleted") == [
        ("a.img", "token ci admin", "127.0.0.1", "a.img was deleted")
    ]


def test_an_image_that_is_being_flashed_is_not_deleted(site: Site) -> None:
    program = Program.of(site)
    put(program, "a.img")
    measure(site)
    add_live_environment(site)
    site.add_machine(name="alpha", image="a.img", target="serial:S5Y1", boot_policy="flash")
    boot = Boot.of(site)
    boot.progress(disk_bytes=1, total_bytes=2)
    answer = program.ask("DELETE", "/images/a.img")
    assert (answer.status_code, answer.json["detail"], answer.json["hint"]) == (
        409,
        "a.img is being flashed onto alpha",
        "wait for the end of the attempt, or cancel it",
    )
    assert names(site) == ["a.img"]
    boot.failed()
    assert program.ask("DELETE", "/images/a.img").status_code == 204


def test_an_image_that_is_being_flashed_is_not_replaced(site: Site) -> None:
    program = Program.of(site)
    put(program, "a.img")
    measure(site)
    add_live_environment(site)
    site.add_machine(name="alpha", image="a.img", target="serial:S5Y1", boot_policy="flash")
    before = (site.settings.image_root / "a.img").read_bytes()
    boot = Boot.of(site)
    boot.progress(disk_bytes=1, total_bytes=2)
    answer = program.ask("PUT", "/images/a.img?replace=true", data=b"another")
    assert (answer.status_code, answer.json["detail"]) == (
        409,
        "a.img is being flashed onto alpha",
    )
    url = {"url": "http://127.0.0.1:9/a.img", "replace": True}
    asked = program.json("POST", "/images", url)
    assert (asked.status_code, asked.json["detail"]) == (409, "a.img is being flashed onto alpha")
    assert program.get("/jobs?kind=import").json["total"] == 0
    assert (site.settings.image_root / "a.img").read_bytes() == before
    assert names(site) == ["a.img"]
    boot.done()
    assert program.ask("PUT", "/images/a.img?replace=true", data=b"another").status_code == 200


def test_a_flash_that_begins_while_the_new_image_comes_keeps_the_old_one(site: Site) -> None:
    program = Program.of(site)
    put(program, "a.img")
    measure(site)
    add_live_environment(site)
    site.add_machine(name="alpha", image="a.img", target="serial:S5Y1", boot_policy="flash")
    before = (site.settings.image_root / "a.img").read_bytes()

    class Slow:
        """Bytes in the middle of which a machine boots."""

        left = 2

        def read(self, size: int, /) -> bytes:
            self.left -= 1
            if self.left:
                Boot.of(site).progress()
            return b"another" if self.left else b""

    with pytest.raises(Conflict, match=r"a\.img is being flashed onto alpha"):
        uploads.receive(
            site.settings,
            "a.img",
            Slow(),
            length=None,
            replace=True,
            replacing=catalog.replacing(site.session, "a.img"),
        )
    assert names(site) == ["a.img"]
    assert (site.settings.image_root / "a.img").read_bytes() == before
