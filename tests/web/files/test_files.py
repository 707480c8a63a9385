"""Files over HTTP: whole, in part, and never another one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from werkzeug.test import TestResponse

from bty_web.extensions import db
from bty_web.models import Image
from bty_web.models.words import ImageState
from bty_web.services import catalog
from bty_web.services.served_files import open_below
from tests.web.pxe.walk import Boot, add_live_environment
from tests.web.site import Site

CONTENT = bytes(range(256)) * 20
DIGEST = hashlib.sha256(CONTENT).hexdigest()
HOSTILE = [
    "../secret",
    "..%2fsecret",
    "%2e%2e/secret",
    "link.img",
    "folder",
    "fifo.img",
    ".hidden",
    "none.img",
    "a.img%00",
    "a.img/",
]


@pytest.fixture
def served(site: Site) -> Site:
    """One image with a row, and everything else that may lie in a folder."""
    root = site.settings.image_root
    (root / "a.img").write_bytes(CONTENT)
    (root.parent / "secret").write_text("password")
    (root / ".hidden").write_text("hidden")
    (root / "link.img").symlink_to(root.parent / "secret")
    (root / "folder").mkdir()
    os.mkfifo(root / "fifo.img")
    stamp = catalog.stamp(os.stat(root / "a.img"))
    site.add_image("a.img", size_bytes=len(CONTENT), stamp=stamp, sha256=DIGEST)
    for name in ("link.img", "folder", "fifo.img", ".hidden"):
        site.add_image(name)
    version = site.settings.boot_dir / "1.0"
    version.mkdir()
    (version / "vmlinuz").write_bytes(CONTENT)
    (version / "link").symlink_to(root.parent / "secret")
    (site.settings.tftp_root / "snponly.efi").write_bytes(b"MZ")
    return site


def get(site: Site, path: str = "/images/a.img", **headers: str) -> TestResponse:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return site.client.get(path, headers=sent, buffered=True)


def judged(site: Site, state: ImageState, message: str | None = None) -> None:
    with site.session() as session:
        image = catalog.get(session, "a.img")
        image.state, image.message, image.hint = state, message, "copy it again"


def test_a_machine_gets_no_broken_image(served: Site) -> None:
    add_live_environment(served)
    judged(served, ImageState.BROKEN, "it is cut short")
    here = {"REMOTE_ADDR": "192.0.2.50"}

    def asked(method: str = "GET", **sent: str) -> TestResponse:
        return served.client.open(
            "/images/a.img", method=method, headers=sent, environ_overrides=here, buffered=True
        )

    assert asked().status_code == 200  # a person who looks at what is wrong with it
    boot = Boot.of(served, address="192.0.2.50")
    answer = asked()
    assert (answer.status_code, answer.mimetype) == (409, "application/problem+json")
    assert answer.get_json()["detail"] == "the image a.img cannot be used: it is cut short"
    assert answer.get_json()["hint"] == "copy it again"
    boot.progress("writing")
    assert asked(Range="bytes=10-").status_code == 409
    assert asked("HEAD").status_code == 409
    assert get(served).status_code == 200
    judged(served, ImageState.MEASURING)
    assert asked().status_code == 200
    judged(served, ImageState.BROKEN, "it is cut short")
    boot.failed()
    assert asked().status_code == 200


def test_what_was_found_of_the_file_before_is_not_said_of_this_one(served: Site) -> None:
    add_live_environment(served)
    judged(served, ImageState.BROKEN, "it is cut short")
    Boot.of(served)
    assert get(served).status_code == 409
    (served.settings.image_root / "a.img").write_bytes(CONTENT + b"x")
    assert get(served).status_code == 200


@pytest.mark.parametrize("path", ["/images/a.img", "/boot/1.0/vmlinuz"])
def test_the_whole_file(served: Site, path: str) -> None:
    answer = get(served, path)
    assert answer.status_code == 200
    assert answer.data == CONTENT
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.mimetype == "application/octet-stream"
    head = served.client.head(path)
    assert head.data == b""
    for name in ("Content-Length", "ETag", "Last-Modified", "Accept-Ranges"):
        assert head.headers[name] == answer.headers[name]


def test_the_tag_is_the_digest_of_what_was_measured(served: Site) -> None:
    assert get(served).headers["ETag"] == f'"{DIGEST}"'
    (served.settings.image_root / "a.img").write_bytes(b"another")
    assert DIGEST not in get(served).headers["ETag"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.integers(0, 6000), last=st.none() | st.integers(0, 6000))
def test_a_part_is_what_a_slice_is(served: Site, first: int, last: int | None) -> None:
    answer = get(served, Range=f"bytes={first}-{'' if last is None else last}")
    if last is not None and last < first:
        assert answer.status_code == 200  # no range: ignored
        return
    if first >= len(CONTENT):
        assert answer.status_code == 416
        assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"
        return
    expected = CONTENT[first : None if last is None else last + 1]
    assert (answer.status_code, answer.data) == (206, expected)
    assert answer.headers["Content-Length"] == str(len(expected))
    end = first + len(expected) - 1
    assert answer.headers["Content-Range"] == f"bytes {first}-{end}/{len(CONTENT)}"


def test_other_ranges(served: Site) -> None:
    assert get(served, Range="bytes=-10").data == CONTENT[-10:]
    assert get(served, Range="bytes=-100000").data == CONTENT
    assert get(served, Range="bytes=0-1,5-6").status_code == 200
    assert get(served, Range="lines=0-1").status_code == 200
    assert get(served, Range="rubbish").status_code == 200
    assert served.client.head("/images/a.img", headers={"Range": "bytes=0-9"}).status_code == 206


def test_if_range_means_this_very_content(served: Site) -> None:
    whole = get(served)
    for version, status in (
        (whole.headers["ETag"], 206),
        (whole.headers["Last-Modified"], 206),
        ('"another"', 200),
        (f"W/{whole.headers['ETag']}", 200),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ("rubbish", 200),
    ):
        assert get(served, Range="bytes=0-9", If_Range=version).status_code == status


def test_what_has_not_changed_is_not_sent(served: Site) -> None:
    whole = get(served)
    assert get(served, If_None_Match=whole.headers["ETag"]).status_code == 304
    assert get(served, If_Modified_Since=whole.headers["Last-Modified"]).status_code == 304
    assert get(served, If_None_Match='"another"').status_code == 200


def test_whoever_wants_another_version_is_not_told_that_nothing_changed(served: Site) -> None:
    whole = get(served)
    now, tag = whole.headers["Last-Modified"], whole.headers["ETag"]
    for headers, status in (
        ({"If_Match": tag}, 200),
        ({"If_Match": "*"}, 200),
        ({"If_Match": '"another"'}, 412),
        ({"If_Match": '"another"', "Range": "bytes=0-9"}, 412),
        ({"If_Match": f'"another", {tag}', "Range": "bytes=0-9"}, 206),
        ({"If_Match": tag, "If_None_Match": tag}, 304),
        ({"If_Unmodified_Since": now}, 200),
        ({"If_Unmodified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 412),
        ({"If_Unmodified_Since": "rubbish"}, 200),
    ):
        answer = get(served, **headers)
        assert answer.status_code == status, headers
        if status == 412:
            assert answer.mimetype == "application/problem+json"
            assert answer.get_json()["detail"] == "the file is another one by now"


def test_a_download_asks_the_database_once_and_holds_nothing_of_it(served: Site) -> None:
    asked: list[str] = []
    with served.app.app_context():
        engine = db.engine

    def note(*given: Any) -> None:
        asked.append(given[2])

    event.listen(engine, "before_cursor_execute", note)
    answer = served.client.get("/images/a.img")
    assert [text.split()[0] for text in asked if text != "BEGIN"] == ["SELECT"]
    held = getattr(engine.pool, "checkedout", None)
    assert held is None or held() == 0
    assert answer.data == CONTENT  # only now does it come
    answer.close()


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_else_is_served(served: Site, name: str) -> None:
    for path in (f"/images/{name}", f"/boot/{name}", f"/boot/1.0/{name}", "/boot/1.0/link"):
        for method in (served.client.get, served.client.head):
            answer = method(path)
            assert answer.status_code in (404, 308), path
            assert b"password" not in answer.data
    assert get(served, "/images/none.img").mimetype == "application/problem+json"


def test_programs_for_firmware_come_from_the_tftp_folder(served: Site) -> None:
    assert get(served, "/boot/snponly.efi").data == b"MZ"
    assert get(served, "/boot/x/snponly.efi").status_code == 404


def test_a_file_that_becomes_shorter_breaks_the_connection_off(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(CONTENT)
    file = open_below(tmp_path, ["x"])
    file.end = len(CONTENT)
    os.truncate(tmp_path / "x", 10)
    with pytest.raises(ConnectionResetError):
        file.close()
    assert file.closed


def test_what_was_opened_is_sent_even_if_it_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(CONTENT)
    with open_below(tmp_path, ["x"]) as file:
        file.end = len(CONTENT)
        (tmp_path / "y").write_bytes(b"new")
        (tmp_path / "y").replace(tmp_path / "x")
        assert file.read() == CONTENT


def test_the_catalog(served: Site) -> None:
    with served.session() as session:
        for image in session.query(Image).filter(Image.name != "a.img"):
            session.delete(image)
    (entry,) = get(served, "/images", Host="10.0.0.2:8080").get_json()
    assert entry == {
        "name": "a.img",
        "url": "http://10.0.0.2:8080/images/a.img",
        "format": "raw",
        "sha256": DIGEST,
        "size_bytes": len(CONTENT),
        "virtual_size_bytes": 1000,
        "disk_sha256": None,
        "description": None,
    }
