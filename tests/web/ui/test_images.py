"""The pages of the catalog."""

from __future__ import annotations

import hashlib
import io
import shlex
from typing import Any

import pytest
from bs4 import BeautifulSoup
from sqlalchemy import select

from bty_core.values import MacAddress
from bty_web.jobs import queue
from bty_web.models import Attempt, Event, Job
from bty_web.models.words import AttemptMode, ImageState, JobState, State, Trigger
from bty_web.services import machines
from tests.web.site import MAC, NOW, Site
from tests.web.ui.forms import follow, form, page, read, send, submit, value, words

HOSTILE = '"><img src=x onerror=alert(1)>${exit}.img'
OTHER = MacAddress.parse("52:54:00:12:34:57")
CONTENT = b"an image, more or less" * 1000


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of what was queued."""
    found: list[int] = []
    monkeypatch.setattr(queue, "enqueue", lambda _, numbers: found.extend(numbers))
    return found


def rows(found: BeautifulSoup) -> list[str]:
    return [words(row) for row in found.select("main table tbody tr")]


def job(site: Site, kind: str, subject: str, **values: Any) -> int:
    with site.session() as session:
        made = Job(
            **{
                "kind": kind,
                "subject": subject,
                "asked_by": "operator",
                "created_at": NOW,
                "arguments": {"url": f"https://example.org/{subject}"},
                **values,
            }
        )
        session.add(made)
        session.flush()
        return made.id


def jobs(site: Site) -> list[tuple[str, JobState]]:
    with site.session() as session:
        found = session.scalars(select(Job).where(Job.kind == "import").order_by(Job.id))
        return [(one.subject, one.state) for one in found]


def events(site: Site, kind: str) -> list[str]:
    with site.session() as session:
        return list(session.scalars(select(Event.message).where(Event.kind == kind)))


@pytest.mark.parametrize("path", ["images", "images/list", "image/debian.img"])
def test_nobody_sees_images_without_a_login(site: Site, path: str) -> None:
    site.add_image()
    answer = site.client.get(f"/ui/{path}")
    assert answer.status_code == 302
    assert answer.location.startswith("/ui/login")


def test_an_empty_catalog_says_what_to_do_first(site: Site) -> None:
    site.log_in()
    told = words(page(site, "/ui/images").find("main"))
    assert "There is no image yet Upload one below, import one from a URL, or copy" in told
    assert str(site.settings.image_root) in told
    assert "free for images" in told


def test_each_state_is_shown_with_what_is_known(site: Site) -> None:
    site.log_in()
    site.add_image("a.img", description="for the lab", virtual_size_bytes=4 * 10**9)
    site.add_image("b.img", state=ImageState.MEASURING, sha256=None, virtual_size_bytes=None)
    broken = {"state": ImageState.BROKEN, "sha256": None, "message": "it ends in the middle"}
    site.add_image("c.img", **broken, hint="copy it again")
    job(site, "measure", "b.img", state=JobState.RUNNING, done_bytes=250, total_bytes=1000)
    site.add_machine(image="a.img")
    site.add_machine(OTHER, image="a.img")
    found = page(site, "/ui/images")
    ready, measuring, bad = rows(found)
    assert ready.startswith("a.img for the lab ready raw 1.00 kB 4.00 GB")
    assert "a" * 64 in ready
    assert ready.endswith("2 machines")
    assert measuring.startswith("b.img measuring 25 % 250 B of 1.00 kB")
    assert "c.img broken it ends in the middle copy it again" in bad
    # What is drawn anew is what was drawn first.
    again = page(site, "/ui/images/list")
    assert [words(row) for row in again.select("table tbody tr")] == rows(found)
    follows = found.select_one("[data-live]")
    assert follows is not None
    assert follows["data-live-from"] == "/ui/images/list"


def test_hostile_names_and_texts_stay_text(site: Site) -> None:
    site.log_in()
    site.add_image(HOSTILE, description=HOSTILE, message=HOSTILE, warnings=[HOSTILE])
    site.add_machine(image=HOSTILE)
    job(site, "import", HOSTILE, arguments={"url": f"https://example.org/{HOSTILE}"})
    found = page(site, "/ui/images")
    link = next(a for a in found.select("tbody th a") if words(a) == HOSTILE)
    shown = page(site, str(link["href"]))
    assert words(shown.find("h1")) == HOSTILE
    # Pasted into a shell, the name is one word and nothing in it is done.
    curl = next(words(code) for code in shown.select("code") if "curl" in words(code))
    assert shlex.split(curl)[:4] == ["curl", "--fail", "-o", HOSTILE]
    asked = page(site, f"{link['href']}/delete")
    assert [one.find("img") for one in (found, shown, asked)] == [None, None, None]


def test_a_page_of_one_image_has_all_of_it(site: Site) -> None:
    site.log_in()
    site.add_image(disk_sha256="b" * 64, warnings=["the backup table is missing"])
    site.add_machine(image="debian.img", name="node1")
    found = page(site, "/ui/image/debian.img")
    told = words(found.find("main"))
    for one in ("1,000 bytes", "a" * 64, "b" * 64, "the backup table is missing", "node1"):
        assert one in told
    assert "curl --fail -o debian.img http://localhost/images/debian.img" in told
    assert found.select_one('a[download][href="http://localhost/images/debian.img"]') is not None
    assert site.client.get("/ui/image/gone.img").status_code == 404


def test_a_description_is_kept(site: Site) -> None:
    site.log_in()
    (site.settings.image_root / "debian.img").write_bytes(CONTENT)
    site.add_image()
    text = 'Debian 13 "trixie" <for the lab>'
    answer = submit(site, "/ui/image/debian.img", "Save the description", description=text)
    found = follow(site, answer)
    assert value(found, "#description") == text


def test_deleting_asks_and_names_the_machines(site: Site) -> None:
    site.log_in()
    file = site.settings.image_root / "debian.img"
    file.write_bytes(CONTENT)
    site.add_image()
    site.add_machine(image="debian.img", name="node1")
    asked = page(site, "/ui/image/debian.img/delete")
    told = words(asked.find("main"))
    assert "1 machine is assigned to it" in told
    assert "node1" in told
    found = follow(site, submit(site, "/ui/image/debian.img/delete", "Delete the image"))
    assert "debian.img is deleted" in words(found.select_one(".notices"))
    assert rows(found) == []
    assert not file.exists()


def test_an_image_that_is_being_flashed_stays(site: Site) -> None:
    site.log_in()
    file = site.settings.image_root / "debian.img"
    file.write_bytes(CONTENT)
    site.add_image()
    site.add_machine(image="debian.img", name="node1")
    with site.session() as session:
        session.add(
            Attempt(
                machine_id=machines.get(session, MAC).id,
                revision=1,
                mode=AttemptMode.AUTO,
                trigger=Trigger.POLICY,
                state=State.RUNNING,
                nonce="n",
                image="debian.img",
                started_at=NOW,
                heard_at=NOW,
            )
        )
    found = read(submit(site, "/ui/image/debian.img/delete", "Delete the image"), 409)
    told = words(found.select_one(".alert-danger"))
    assert told.startswith("debian.img is being flashed onto node1")
    assert file.exists()
    body = {"file": (io.BytesIO(b"another"), "debian.img"), "replace": "yes"}
    upload = page(site, "/ui/images").select_one("form[action$='/images/upload']")
    assert upload is not None
    found = read(send(site, "/ui/images", upload, **body), 409)
    told = words(found.select_one(".alert-danger"))
    assert told.startswith("debian.img is being flashed onto node1")
    assert file.read_bytes() == CONTENT


def test_an_import_is_queued_with_its_digest(site: Site, queued: list[int]) -> None:
    site.log_in()
    url = "https://user:secret@example.org/path/debian%2013.img?token=secret"
    answer = submit(site, "/ui/images", "Import", url=url, sha256=f"sha256:{'A' * 64}")
    found = follow(site, answer)
    with site.session() as session:
        made = session.get(Job, queued[0])
        assert made is not None
        assert made.arguments == {
            "url": url,
            "name": "debian 13.img",
            "sha256": "a" * 64,
            "by": "operator",
        }
    shown = words(found.select_one("main section ul"))
    assert shown.startswith(
        "debian 13.img queued Stop from https://example.org/path/debian%2013.img"
    )
    assert "secret" not in shown
    assert not any("secret" in message for message in events(site, "image.import"))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            {"url": "ftp://example.org/a.img"},
            "an image is imported from an http:// or https:// URL",
        ),
        ({"url": "file:///etc/passwd"}, "an image is imported from an http:// or https:// URL"),
        ({"url": "https://[::1/a.img"}, "'https://[::1/a.img' is not the URL of a file"),
        ({"url": "https://example.org/"}, "'https://example.org/' is not the URL of a file"),
        ({"url": "https://example.org/a", "sha256": "12"}, "'12' is not a SHA-256 digest"),
        ({"url": "https://example.org/a", "name": "../a.img"}, "no slash"),
    ],
)
def test_what_cannot_be_imported_is_said_and_the_form_keeps_what_was_typed(
    site: Site, queued: list[int], typed: dict[str, str], said: str
) -> None:
    site.log_in()
    found = read(submit(site, "/ui/images", "Import", **typed), 422)
    assert said in words(found.select_one(".alert-danger"))
    assert value(found, "#import-url") == typed["url"]
    assert (queued, jobs(site)) == ([], [])


def test_one_name_is_imported_once_at_a_time(site: Site, queued: list[int]) -> None:
    site.log_in()
    for status in (302, 409):
        answer = submit(site, "/ui/images", "Import", url="https://example.org/a.img")
        assert answer.status_code == status
    assert jobs(site) == [("a.img", JobState.QUEUED)]


def test_an_import_can_be_stopped(site: Site) -> None:
    site.log_in()
    waiting = job(site, "import", "a.img")
    job(site, "import", "b.img", state=JobState.RUNNING, done_bytes=10, total_bytes=100)
    found = page(site, "/ui/images")
    for one in found.select("main section li form"):
        assert send(site, "/ui/images", one).status_code == 302
    assert jobs(site) == [("a.img", JobState.CANCELLED), ("b.img", JobState.RUNNING)]
    assert "stopping" in words(page(site, "/ui/images").select_one("main section li"))
    token = form(page(site, "/ui/images"), "Import").find("input", {"name": "csrf_token"})
    data = {"csrf_token": str(token["value"])}  # type: ignore[index]
    assert site.client.post(f"/ui/images/jobs/{waiting}/cancel", data=data).status_code == 409
    assert site.client.post("/ui/images/jobs/999/cancel", data=data).status_code == 404


def test_an_import_that_failed_is_shown_with_its_hint(site: Site) -> None:
    from bty_web.services.clock import now

    site.log_in()
    ended = {"state": JobState.FAILED, "ended_at": now()}
    job(
        site, "import", "a.img", **ended, message="the server answers 404", hint="check the address"
    )
    told = words(page(site, "/ui/images").select_one("main section li"))
    assert "the server answers 404 check the address" in told


def test_a_form_without_javascript_uploads(site: Site) -> None:
    site.log_in()
    digest = hashlib.sha256(CONTENT).hexdigest()
    answer = submit(
        site, "/ui/images", "Upload", sha256=digest, file=(io.BytesIO(CONTENT), "debian.img")
    )
    assert "debian.img is uploaded" in words(follow(site, answer).select_one(".notices"))
    assert (site.settings.image_root / "debian.img").read_bytes() == CONTENT


def test_the_script_of_the_page_uploads(site: Site) -> None:
    site.log_in()
    token = value(page(site, "/ui/images"), "[data-upload-to] input[name=csrf_token]")
    answer = site.client.put(
        "/ui/images/upload/debian%20a.img", data=CONTENT, headers={"X-CSRFToken": token}
    )
    assert (answer.status_code, answer.json) == (200, {"name": "debian a.img"})
    assert (site.settings.image_root / "debian a.img").read_bytes() == CONTENT


def test_a_wrong_digest_leaves_nothing_and_says_so_in_both_ways(site: Site) -> None:
    site.log_in()
    filled: dict[str, Any] = {"sha256": "0" * 64, "file": (io.BytesIO(CONTENT), "debian.img")}
    answer = submit(site, "/ui/images", "Upload", **filled)
    found = read(answer, answer.status_code)
    assert 400 <= answer.status_code < 500
    assert found.select_one(".alert-danger") is not None
    token = value(page(site, "/ui/images"), "[data-upload-to] input[name=csrf_token]")
    put = site.client.put(
        f"/ui/images/upload/debian.img?sha256={'0' * 64}",
        data=CONTENT,
        headers={"X-CSRFToken": token},
    )
    assert put.status_code == answer.status_code
    assert put.json is not None
    assert put.json["detail"] in words(found.select_one(".alert-danger"))
    assert [one for one in site.settings.image_root.iterdir() if one.is_file()] == []


def test_an_upload_takes_no_image_away_unless_it_is_asked_to(site: Site) -> None:
    site.log_in()
    for content, status in ((b"first", 302), (b"second", 409)):
        file = (io.BytesIO(content), "debian.img")
        read(submit(site, "/ui/images", "Upload", file=file), status)
    assert (site.settings.image_root / "debian.img").read_bytes() == b"first"
    file = (io.BytesIO(b"third"), "debian.img")
    submit(site, "/ui/images", "Upload", file=file, replace="yes")
    assert (site.settings.image_root / "debian.img").read_bytes() == b"third"


@pytest.mark.parametrize("name", ["../debian.img", ".hidden", "a/b.img"])
def test_an_upload_goes_nowhere_else(site: Site, name: str) -> None:
    site.log_in()
    before = sorted(site.settings.state_dir.rglob("*"))
    answer = submit(site, "/ui/images", "Upload", file=(io.BytesIO(CONTENT), name))
    assert answer.status_code in (302, 422)
    new = set(site.settings.state_dir.rglob("*")) - set(before)
    assert {one.parent for one in new if one.suffix == ".img"} <= {site.settings.image_root}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "images/upload"),
        ("PUT", "images/upload/debian.img"),
        ("POST", "images/import"),
        ("POST", "image/debian.img"),
        ("POST", "image/debian.img/delete"),
        ("POST", "images/jobs/1/cancel"),
    ],
)
def test_a_form_of_another_site_changes_nothing(site: Site, method: str, path: str) -> None:
    site.log_in()
    site.add_image()
    job(site, "import", "a.img")
    data: Any = CONTENT
    if path == "images/upload":
        data = {"csrf_token": "guessed", "file": (io.BytesIO(CONTENT), "debian.img")}
    answer = site.client.open(f"/ui/{path}", method=method, data=data)
    assert answer.status_code == 400
    assert "form has expired" in answer.get_data(as_text=True)
    assert list(site.settings.image_root.iterdir()) == []
    assert jobs(site) == [("a.img", JobState.QUEUED)]


def test_a_token_after_the_file_comes_too_late(site: Site) -> None:
    site.log_in()
    token = value(page(site, "/ui/images"), "[data-upload-to] input[name=csrf_token]")
    data = {"file": (io.BytesIO(CONTENT), "debian.img"), "csrf_token": token}
    assert next(iter(data)) == "file"
    body = (
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="debian.img"\r\n\r\n'
        + CONTENT
        + b'\r\n--B\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n'
        + token.encode()
        + b"\r\n--B--\r\n"
    )
    kind = "multipart/form-data; boundary=B"
    assert site.client.post("/ui/images/upload", data=body, content_type=kind).status_code == 400
    assert list(site.settings.image_root.iterdir()) == []


def test_nobody_uploads_without_a_login(site: Site) -> None:
    for method, path in (("POST", "upload"), ("PUT", "upload/debian.img")):
        answer = site.client.open(f"/ui/images/{path}", method=method, data=CONTENT)
        assert answer.status_code == 302
        assert answer.location.startswith("/ui/login")
    assert list(site.settings.image_root.iterdir()) == []


def test_the_page_has_no_script_or_style_in_it(site: Site) -> None:
    site.log_in()
    site.add_image()
    for path in ("images", "image/debian.img", "live", "settings/proxy-dhcp", "settings/tokens"):
        found = page(site, f"/ui/{path}")
        assert [tag for tag in found.find_all("script") if not tag.get("src")] == [], path
        assert found.find_all("style") == []
        assert [tag for tag in found.find_all(True) if tag.has_attr("style")] == []
        handlers = [name for tag in found.find_all(True) for name in tag.attrs if name[:2] == "on"]
        assert handlers == []
