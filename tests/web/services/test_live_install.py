"""A live environment is put in place whole, or nothing changes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from bty_core.errors import BtyError, ImageCorrupt
from bty_core.wire.fields import InvalidField
from bty_web.errors import Conflict, NoRoom, NotFound
from bty_web.services import live
from bty_web.services.live_install import activate, install_tar, sweep, versions
from bty_web.settings import Settings

FILES = {"vmlinuz": b"kernel" * 1000, "initrd.zst": b"initrd" * 3000}


def manifest(
    version: str = "1.0", files: dict[str, bytes] = FILES, **values: Any
) -> dict[str, Any]:
    listed = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in files.items()
    }
    usual = {"version": version, "kernel": "vmlinuz", "initrd": "initrd.zst", "cmdline": "quiet"}
    return {**usual, "files": listed, **values}


def tar(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data) if kind == tarfile.REGTYPE else 0
            member.type = kind if name != "manifest.json" else tarfile.REGTYPE
            if name == "manifest.json":
                member.size = len(data)
            member.linkname = "/etc/passwd"
            made.addfile(member, io.BytesIO(data))
    return out.getvalue()


def whole(version: str = "1.0", files: dict[str, bytes] = FILES, **values: Any) -> bytes:
    text = json.dumps(manifest(version, files, **values)).encode()
    return tar(("manifest.json", text), *files.items())


@pytest.fixture
def server(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, upload_reserve_mib=0)


def install(settings: Settings, content: bytes) -> live.Manifest:
    return install_tar(settings, io.BytesIO(content), len(content))


def there(settings: Settings) -> list[str]:
    root = settings.boot_dir
    return sorted(str(one.relative_to(root)) for one in root.rglob("*") if one.is_file())


def test_it_is_there_and_active(server: Settings) -> None:
    install(server, whole())
    assert there(server) == [
        "1.0/initrd.zst",
        "1.0/manifest.json",
        "1.0/vmlinuz",
        "manifest.json",
    ]
    assert (server.boot_dir / "1.0/vmlinuz").read_bytes() == FILES["vmlinuz"]
    found = live.active(server.boot_dir)
    assert found is not None
    assert found.version == "1.0"


def test_a_newer_one_takes_over_and_the_older_stays(server: Settings) -> None:
    install(server, whole())
    install(server, whole("1.1"))
    found = live.active(server.boot_dir)
    assert found is not None
    assert found.version == "1.1"
    assert {one.version for one in versions(server.boot_dir)} == {"1.0", "1.1"}
    assert activate(server.boot_dir, "1.0").version == "1.0"
    with pytest.raises(NotFound):
        activate(server.boot_dir, "../x")


def test_the_same_again_is_fine_and_another_content_is_not(server: Settings) -> None:
    install(server, whole())
    install(server, whole())
    with pytest.raises(Conflict):
        install(server, whole(files={**FILES, "vmlinuz": b"another"}))
    assert (server.boot_dir / "1.0/vmlinuz").read_bytes() == FILES["vmlinuz"]


def test_old_versions_go_when_nobody_boots_them_any_more(server: Settings) -> None:
    for number in range(8):
        install(server, whole(f"1.{number}"))
        folder = server.boot_dir / f"1.{number}"
        old = time.time() - (10 - number) * 86400
        os.utime(folder, (old, old))
    install(server, whole("2.0"))
    kept = {one.version for one in versions(server.boot_dir)}
    assert kept == {"2.0", "1.7", "1.6", "1.5"}


SWAPPED = [("vmlinuz", FILES["initrd.zst"]), ("initrd.zst", FILES["vmlinuz"])]
MANIFEST = ("manifest.json", json.dumps(manifest()).encode())
BROKEN: list[tuple[str, bytes, type[BtyError]]] = [
    ("nothing", b"", BtyError),
    ("rubbish", b"rubbish" * 1000, BtyError),
    ("a web page", b"<!doctype html>" * 100, BtyError),
    ("compressed", b"\x1f\x8b" + whole(), InvalidField),
    ("no manifest first", tar(*FILES.items(), MANIFEST), InvalidField),
    ("manifest is no JSON", tar(("manifest.json", b"{"), *FILES.items()), InvalidField),
    ("a file is missing", tar(MANIFEST, ("vmlinuz", FILES["vmlinuz"])), InvalidField),
    ("a file too many", tar(MANIFEST, *FILES.items(), ("x", b"x")), InvalidField),
    ("a file twice", tar(MANIFEST, *FILES.items(), *FILES.items()), InvalidField),
    ("other content", tar(MANIFEST, *SWAPPED), ImageCorrupt),
    ("a path", tar(MANIFEST, ("../../evil", b"x")), InvalidField),
    ("links", tar(MANIFEST, *FILES.items(), kind=tarfile.SYMTYPE), InvalidField),
    ("devices", tar(MANIFEST, *FILES.items(), kind=tarfile.CHRTYPE), InvalidField),
    ("an evil command line", whole(cmdline="quiet || reboot"), InvalidField),
    ("an evil version", whole("../x"), InvalidField),
    ("an evil kernel", whole(kernel="none"), InvalidField),
    ("cut short", whole()[:9000], BtyError),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "error"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN]
)
def test_what_is_wrong_changes_nothing(
    server: Settings, content: bytes, error: type[BtyError]
) -> None:
    install(server, whole("0.9"))
    before = there(server)
    with pytest.raises(error):
        install(server, content)
    assert there(server) == before
    assert not (server.boot_dir.parent / "evil").exists()


def test_a_client_that_breaks_off_leaves_nothing(server: Settings) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 4000:
                raise ConnectionResetError("gone")
            return super().read(min(size or 1000, 1000))

    with pytest.raises(BtyError):
        install_tar(server, Broken(whole()), None)
    assert there(server) == []


def test_no_room(server: Settings) -> None:
    from dataclasses import replace

    full = replace(server, upload_reserve_mib=10**6)
    full.boot_dir.mkdir()
    with pytest.raises(NoRoom):
        install(full, whole())
    assert there(full) == []


def test_what_a_dead_process_left_is_swept(server: Settings) -> None:
    install(server, whole())
    (server.boot_dir / ".live-999999999-abcd").mkdir()
    mine = server.boot_dir / f".live-{os.getpid()}-abcd"
    mine.mkdir()
    sweep(server.boot_dir)
    assert not (server.boot_dir / ".live-999999999-abcd").exists()
    assert mine.exists()
