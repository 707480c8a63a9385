"""The page of the live environment and of the iPXE programs."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
from typing import Any

import pytest
from sqlalchemy import select

from bty_web.dhcp import programs
from bty_web.models import Event
from tests.web.site import Site
from tests.web.ui.forms import follow, page, read, submit, words

FILES = {"vmlinuz": b"kernel" * 1000, "initrd.img": b"initrd" * 1000}


def manifest(version: str = "2026.11", **changed: Any) -> dict[str, Any]:
    return {
        "version": version,
        "kernel": "vmlinuz",
        "initrd": "initrd.img",
        "cmdline": "quiet",
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            for name, content in FILES.items()
        },
        **changed,
    }


def tar(said: dict[str, Any] | None = None, **files: bytes) -> bytes:
    found = io.BytesIO()
    contents = {"manifest.json": json.dumps(said or manifest()).encode(), **FILES, **files}
    with tarfile.open(fileobj=found, mode="w") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return found.getvalue()


def put_by_hand(site: Site, version: str = "2026.11") -> None:
    folder = site.settings.boot_dir / version
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    for place in (folder, site.settings.boot_dir):
        (place / "manifest.json").write_text(json.dumps(manifest(version)))


def efi() -> bytes:
    """Return the smallest thing that looks like an EFI program for a PC."""
    content = bytearray(512)
    content[:2] = b"MZ"
    struct.pack_into("<I", content, 60, 128)
    content[128:132] = b"PE\0\0"
    struct.pack_into("<H", content, 128 + 4, 0x8664)
    struct.pack_into("<H", content, 128 + 24 + 68, 10)
    return bytes(content)


def events(site: Site) -> list[str]:
    with site.session() as session:
        query = select(Event.message).where(Event.kind.like("live.%")).order_by(Event.id)
        return list(session.scalars(query))


def test_without_one_the_page_says_what_to_do_first(site: Site) -> None:
    site.log_in()
    told = words(page(site, "/ui/live").find("main"))
    assert "There is no live environment yet" in told
    assert "machines that ask this server boot their own disk" in told


def test_files_are_compared_only_when_asked(site: Site) -> None:
    site.log_in()
    put_by_hand(site)
    damaged = b"x" * len(FILES["vmlinuz"])
    (site.settings.boot_dir / "2026.11/vmlinuz").write_bytes(damaged)
    rows = [words(row) for row in page(site, "/ui/live").select("tbody tr")[:2]]
    assert all("there, size is right" in row for row in rows)
    answer = submit(site, "/ui/live", "Compare the digests now")
    found = read(answer)
    assert "Files are missing or damaged" in words(found.find("main"))
    assert "instead of" in words(found.select("tbody tr")[0])
    assert "digest is right" in words(found.select("tbody tr")[1])


def test_an_uploaded_tar_is_active_at_once(site: Site) -> None:
    site.log_in()
    put_by_hand(site, "2026.10")
    file = (io.BytesIO(tar()), "live.tar")
    found = follow(site, submit(site, "/ui/live", "Upload", file=file))
    assert words(found.select_one("#active")) == "Active: 2026.11"
    assert "2026.10" in words(found.find("main"))
    assert events(site) == ["live environment 2026.11 is active"]


def test_an_earlier_one_can_be_used_again(site: Site) -> None:
    site.log_in()
    put_by_hand(site, "2026.10")
    put_by_hand(site, "2026.11")
    found = follow(site, submit(site, "/ui/live", "Use it again", version="2026.10"))
    assert words(found.select_one("#active")) == "Active: 2026.10"
    assert events(site) == ["live environment 2026.10 is active again"]
    gone = submit(site, "/ui/live", "Use it again", version="../2026.11")
    assert gone.status_code == 404


def test_the_script_of_the_page_sends_the_same(site: Site) -> None:
    site.log_in()
    token = page(site, "/ui/live").find("input", {"name": "csrf_token"})
    assert token is not None
    answer = site.client.put(
        "/ui/live",
        data=tar(),
        headers={"X-CSRFToken": str(token["value"])},
    )
    assert answer.status_code == 200
    assert answer.json == {"version": "2026.11"}


def test_a_tar_that_is_wrong_changes_nothing_and_says_why(site: Site) -> None:
    site.log_in()
    put_by_hand(site, "2026.10")
    file = (io.BytesIO(tar(vmlinuz=b"another kernel")), "live.tar")
    answer = submit(site, "/ui/live", "Upload", file=file)
    found = read(answer, answer.status_code)
    assert 400 <= answer.status_code < 500
    assert "vmlinuz" in words(found.select_one(".alert-danger"))
    assert words(found.select_one("#active")) == "Active: 2026.10"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/ui/live"),
        ("PUT", "/ui/live"),
        ("POST", "/ui/live/activate"),
        ("POST", "/ui/live/programs"),
        ("POST", "/ui/live/programs/install"),
    ],
)
def test_a_form_of_another_site_changes_nothing(site: Site, method: str, path: str) -> None:
    site.log_in()
    data: Any = {"csrf_token": "guessed", "file": (io.BytesIO(tar()), "live.tar")}
    answer = site.client.open(path, method=method, data=data if method == "POST" else tar())
    assert answer.status_code == 400
    assert "form has expired" in answer.get_data(as_text=True)
    assert list(site.settings.boot_dir.iterdir()) == []
    assert list(site.settings.tftp_root.iterdir()) == []


def test_programs_that_are_missing_are_said_and_taken_from_the_package(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def install(folder: Any) -> list[str]:
        (folder / "snponly.efi").write_bytes(efi())
        return ["snponly.efi"]

    site.log_in()
    assert "of the programs are missing" in words(page(site, "/ui/live").select_one("#programs"))
    monkeypatch.setattr(programs, "install", install)
    found = follow(site, submit(site, "/ui/live", "Take them from Debian's package"))
    rows = {words(row.find("th")): words(row) for row in found.select("#programs tbody tr")}
    assert "512 B" in rows["snponly.efi"]
    assert "missing" in rows["undionly.kpxe"]
    assert events(site) == ["iPXE programs were taken from Debian's package: snponly.efi"]


def test_a_package_that_is_not_installed_is_said(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.log_in()
    monkeypatch.setattr(programs, "install", lambda _: [])
    found = follow(site, submit(site, "/ui/live", "Take them from Debian's package"))
    assert "install it first" in words(found.select_one(".notices .alert-danger"))
    assert events(site) == []


def test_a_program_can_be_uploaded(site: Site) -> None:
    site.log_in()
    filled = {"name": "ipxe.efi", "file": (io.BytesIO(efi()), "whatever.efi")}
    found = follow(site, submit(site, "/ui/live", "Upload the program", **filled))
    assert "ipxe.efi is in place" in words(found.select_one(".notices"))
    assert (site.settings.tftp_root / "ipxe.efi").read_bytes() == efi()
    assert events(site) == ["ipxe.efi was uploaded (512 B)"]


def test_something_else_than_the_program_is_refused(site: Site) -> None:
    site.log_in()
    filled = {"name": "ipxe.efi", "file": (io.BytesIO(b"<html>"), "ipxe.efi")}
    found = read(submit(site, "/ui/live", "Upload the program", **filled), 422)
    assert "ipxe.efi is a page of text, not a program" in words(found.find("main"))
    assert not (site.settings.tftp_root / "ipxe.efi").exists()
