"""The live environment by the API."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import Any

import pytest
from sqlalchemy import select

from bty_web.models import Event
from bty_web.models.words import Scope
from tests.web.api.programs import Program
from tests.web.pxe.walk import add_live_environment
from tests.web.site import Site


def test_none_one_and_a_broken_one(site: Site) -> None:
    program = Program.of(site)
    assert program.get("/live").json == {
        "active": None,
        "versions": [],
        "message": None,
        "hint": None,
    }
    add_live_environment(site)
    assert program.get("/live").json == {
        "active": {
            "version": "1.0",
            "kernel": "vmlinuz",
            "initrd": "initrd.zst",
            "cmdline": "quiet",
            "files": [
                {"name": "vmlinuz", "sha256": "a" * 64, "size": 6},
                {"name": "initrd.zst", "sha256": "b" * 64, "size": 6},
            ],
        },
        "versions": [],
        "message": None,
        "hint": None,
    }
    (site.settings.boot_dir / "manifest.json").write_text("{}")
    broken = program.get("/live").json
    assert broken["active"] is None
    assert broken["message"].startswith("the live environment's manifest.json cannot be used: ")
    assert broken["hint"]


def tar(version: str = "2.0", *, lie: bool = False, kernel: bytes = b"kernel") -> bytes:
    """A whole live environment; with `lie` one whose last file is not what the manifest says."""
    files = {"vmlinuz": kernel, "initrd.zst": b"initrd" * 1000}
    manifest = {
        "version": version,
        "kernel": "vmlinuz",
        "initrd": "initrd.zst",
        "cmdline": "quiet",
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in files.items()
        },
    }
    if lie:
        files["initrd.zst"] = b"other!" * 1000
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, data in {"manifest.json": json.dumps(manifest).encode(), **files}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def put(program: Program, body: bytes, **said: Any) -> Any:
    return program.ask("PUT", "/live", data=body, content_type="application/x-tar", **said)


def told(site: Site) -> list[tuple[str, str, str, str | None, str]]:
    with site.session() as session:
        found = session.scalars(select(Event).where(Event.kind.like("live.%")).order_by(Event.id))
        return [(one.kind, one.subject, one.actor, one.address, one.message) for one in found]


def test_one_that_is_installed_is_what_machines_boot_and_an_earlier_one_can_come_back(
    site: Site,
) -> None:
    program = Program.of(site)
    first = put(program, tar("1.0"))
    assert (first.status_code, first.json["version"], first.json["cmdline"]) == (
        200,
        "1.0",
        "quiet",
    )
    assert put(program, tar("2.0", kernel=b"newer")).status_code == 200
    shown = program.get("/live").json
    assert (shown["active"]["version"], sorted(shown["versions"])) == ("2.0", ["1.0", "2.0"])
    assert "/boot/2.0/vmlinuz" in site.contact()
    for path, content in {"2.0/vmlinuz": b"newer", "1.0/vmlinuz": b"kernel"}.items():
        with site.client.get(f"/boot/{path}") as answer:  # machines may be booting the old one
            assert answer.data == content
    back = program.ask("POST", "/live/1.0/activate")
    assert (back.status_code, back.json) == (200, first.json)
    assert "/boot/1.0/vmlinuz" in site.contact()
    gone = program.ask("POST", "/live/3.0/activate")
    assert (gone.status_code, gone.json["detail"]) == (404, "there is no live environment '3.0'")
    by = ("token ci admin", "127.0.0.1")
    assert told(site) == [
        ("live.installed", "1.0", *by, "the live environment 1.0 was installed"),
        ("live.installed", "2.0", *by, "the live environment 2.0 was installed"),
        ("live.activated", "1.0", *by, "machines get the live environment 1.0 from now on"),
    ]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (tar("2.0", lie=True), 422, "image-corrupt"),
        (tar("2.0")[:3000], 422, None),
        (b"", 422, None),
        (b"no tar" * 1000, 422, "image-corrupt"),
        (b"\x1f\x8b" + b"x" * 2000, 422, "invalid-field"),
        (tar("../2.0"), 422, "invalid-field"),
        (tar("1.0", kernel=b"another"), 409, "conflict"),
    ],
)
def test_one_that_is_not_whole_changes_nothing(
    site: Site, body: bytes, status: int, code: str | None
) -> None:
    program = Program.of(site)
    put(program, tar("1.0"))
    before = sorted(str(path) for path in site.settings.boot_dir.rglob("*"))
    answer = put(program, body)
    assert answer.status_code == status
    assert code is None or answer.json["code"] == code
    assert program.get("/live").json["active"]["version"] == "1.0"
    assert sorted(str(path) for path in site.settings.boot_dir.rglob("*")) == before
    assert len(told(site)) == 1


def test_a_client_that_breaks_off_changes_nothing(site: Site) -> None:
    class Torn(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            found = super().read(size)
            if not found:
                raise ConnectionResetError(104, "reset")
            return found

    overrides = {
        "wsgi.input": Torn(tar()[:4000]),
        "wsgi.input_terminated": True,
        "CONTENT_LENGTH": str(len(tar())),
    }
    answer = put(Program.of(site), b"", environ_overrides=overrides)
    assert (answer.status_code, answer.json["detail"]) == (
        422,
        "the body broke off after 4000 bytes",
    )
    assert list(site.settings.boot_dir.iterdir()) == []


def test_only_admins_change_what_machines_boot(site: Site) -> None:
    program = Program.of(site, Scope.OPERATE)
    assert put(program, tar()).status_code == 403
    assert program.ask("POST", "/live/1.0/activate").status_code == 403
    answer = Program.of(site).ask("PUT", "/live", data=tar(), content_type="application/gzip")
    assert answer.status_code == 415
