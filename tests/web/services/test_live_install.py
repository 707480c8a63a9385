"""A live environment is put in place whole, or nothing changes."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import tarfile
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def age(settings: Settings, version: str, days: float) -> None:
    """Let a version have been installed, and left, so many days ago."""
    then = time.time() - days * 86400
    for path in (
        settings.boot_dir / version / "manifest.json",
        settings.boot_dir / version,
    ):
        os.utime(path, (then, then))


def test_old_versions_go_when_nobody_boots_them_any_more(server: Settings) -> None:
    for number in range(8):
        install(server, whole(f"1.{number}"))
    for number in range(8):
        age(server, f"1.{number}", 10 - number)
    install(server, whole("2.0"))
    assert [one.version for one in versions(server.boot_dir)] == ["2.0", "1.7", "1.6", "1.5"]
    assert hidden(server) == []


def test_what_machines_were_given_until_now_stays_however_old(server: Settings) -> None:
    for number in range(8):
        install(server, whole(f"1.{number}"))
    for number in range(8):
        age(server, f"1.{number}", 10 - number)
    activate(server.boot_dir, "1.0")
    install(server, whole("2.0"))
    kept = {one.version for one in versions(server.boot_dir)}
    # 1.7 was left for 1.0 just now, and 1.0 for 2.0: machines may be fetching from either.
    assert kept == {"2.0", "1.7", "1.6", "1.5", "1.0"}


def test_the_same_again_mends_what_was_damaged(server: Settings) -> None:
    install(server, whole())
    folder = server.boot_dir / "1.0"
    (folder / "vmlinuz").write_bytes(b"Kernel" * 1000)
    (folder / "initrd.zst").unlink()
    install(server, whole())
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    undamaged = (folder / "vmlinuz").stat().st_ino
    install(server, whole())
    assert (folder / "vmlinuz").stat().st_ino == undamaged  # downloads may go on
    assert hidden(server) == []


def test_one_that_was_put_there_by_hand_can_be_left_and_come_back_to(server: Settings) -> None:
    install(server, whole())
    (server.boot_dir / "1.0/manifest.json").unlink()
    install(server, whole())  # the same again
    (server.boot_dir / "1.0/manifest.json").unlink()
    install(server, whole("1.1"))
    assert activate(server.boot_dir, "1.0").version == "1.0"


def test_a_folder_that_is_no_version_is_not_replaced(server: Settings) -> None:
    server.boot_dir.mkdir()
    (server.boot_dir / "1.0").mkdir()
    install(server, whole())  # an empty one is nothing
    (server.boot_dir / "2.0").mkdir()
    (server.boot_dir / "2.0/mine").write_bytes(b"mine")
    (server.boot_dir / "3.0").write_bytes(b"mine")
    for version in ("2.0", "3.0"):
        with pytest.raises(Conflict):
            install(server, whole(version))
    assert (server.boot_dir / "2.0/mine").exists()
    assert hidden(server) == []


def hidden(settings: Settings) -> list[str]:
    return [one.name for one in settings.boot_dir.iterdir() if one.name.startswith(".")]


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


def announced(name: str, size: int) -> bytes:
    return header(name, size) + b"x" * 10000


def sparse(name: str, size: int) -> bytes:
    """A member as GNU tar writes it for a file with holes: nothing but a hole."""
    made = bytearray(header(name, 0, tarfile.GNUTYPE_SPARSE))
    made[386:398] = f"{size:011o} ".encode()[:12]
    made[483:495] = f"{size:o}".rjust(11, "0").encode()[-11:] + b"\0"
    made[148:156] = b" " * 8
    made[148:156] = f"{sum(made):06o}\0 ".encode()
    return bytes(made)


def pax(record: str, data: bytes) -> bytes:
    """A member with an extended header of one or more records."""
    content = b""
    for one in record.split(";"):
        length = len(one) + 2
        length += len(str(length + len(str(length))))
        content += f"{length} {one}\n".encode()
    before = header("x", len(content), tarfile.XHDTYPE)
    return before + content.ljust(512, b"\0") + header("vmlinuz", len(data)) + data.ljust(512)


def pax_sparse(name: str) -> bytes:
    records = f"GNU.sparse.major=1;GNU.sparse.minor=0;GNU.sparse.name={name}"
    return pax(f"{records};GNU.sparse.realsize=99999", b"1\n0\n10\n".ljust(512, b"\0"))


SWAPPED = [("vmlinuz", FILES["initrd.zst"]), ("initrd.zst", FILES["vmlinuz"])]
MANIFEST = ("manifest.json", json.dumps(manifest()).encode())
MANIFEST_TAR = tar(MANIFEST)[: 512 + 512]  # header and content, not the end of the archive
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
    ("a longer file", tar(MANIFEST, ("vmlinuz", b"x" * 10**6)), ImageCorrupt),
    ("a file said to be huge", whole()[:8192] + announced("vmlinuz", 1 << 50), BtyError),
    ("a sparse file", MANIFEST_TAR + sparse("vmlinuz", 1 << 40), InvalidField),
    ("a sparse file of another kind", MANIFEST_TAR + pax_sparse("vmlinuz"), InvalidField),
    ("a header without end", header("x", 1 << 40, tarfile.XHDTYPE), InvalidField),
    ("headers without end", header("x", 0, tarfile.XHDTYPE) * 5000, BtyError),
    ("a header that is no number", MANIFEST_TAR + pax("size=many", b"x"), BtyError),
    ("a folder", MANIFEST_TAR + header("boot", 0, tarfile.DIRTYPE), InvalidField),
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


def test_the_disk_becomes_full(server: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NoRoom, match="the disk became full while the live environment came"):
        install(server, whole())
    assert there(server) == []


@settings(max_examples=300, deadline=None)
@given(
    content=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]),
    changes=st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_whatever_comes_is_taken_or_refused_in_words(
    content: int, changes: list[tuple[int, int]]
) -> None:
    damaged = bytearray(formatted(content))
    for position, value in changes:
        damaged[position % len(damaged)] = value
    with TemporaryDirectory() as folder:
        server = Settings(state_dir=Path(folder), upload_reserve_mib=0)
        with suppress(BtyError):
            install(server, bytes(damaged))
        assert hidden(server) == []


def formatted(kind: int) -> bytes:
    """The same, as different programs write a tar: with long names and attributes of their own."""
    out = io.BytesIO()
    files = {"vmlinuz": b"kernel", "initrd.zst": b"initrd", "r" * 110 + ".squashfs": b"root"}
    if kind == tarfile.USTAR_FORMAT:
        files.popitem()
    text = json.dumps(manifest(files=files)).encode()
    with tarfile.open(fileobj=out, mode="w", format=kind) as made:
        for name, data in {"manifest.json": text, **files}.items():
            member = tarfile.TarInfo(f"./{name}" if kind == tarfile.GNU_FORMAT else name)
            member.size, member.mtime = len(data), 1.5
            made.addfile(member, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize(
    "kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT], ids=str
)
def test_a_tar_of_any_program_will_do(server: Settings, kind: int) -> None:
    assert install(server, formatted(kind)).version == "1.0"
    assert len(there(server)) == (4 if kind == tarfile.USTAR_FORMAT else 5)


def test_what_a_killed_process_left_is_swept_and_what_is_being_written_is_not(
    server: Settings,
) -> None:
    install(server, whole())
    root = server.boot_dir

    class Looking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                (mine,) = root.glob(".live-*")
                os.utime(mine, (0, 0))
                sweep(root)
                assert mine.exists()
            return super().read(600)

    left, young = root / ".live-17-abcd", root / ".live-18-abcd"
    for folder in (left, young):
        folder.mkdir()
        (folder / "vmlinuz").write_bytes(b"ker")
    os.utime(left, (0, 0))
    manifest_left = root / ".manifest.json.abcd"
    manifest_left.write_text("{")
    os.utime(manifest_left, (0, 0))
    sweep(root)
    assert hidden(server) == [young.name]
    (young / "vmlinuz").unlink()
    young.rmdir()
    install_tar(server, Looking(whole("1.1")), None)
    assert {one.version for one in versions(root)} == {"1.0", "1.1"}


def test_what_is_seen_of_it_is_on_the_disk(
    server: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All files and their names before the folder gets its name; that before machines are sent there."""
    done: list[str] = []
    root = server.boot_dir
    fsync, rename = os.fsync, os.rename

    def synced(handle: int) -> None:
        fsync(handle)
        done.append("sync " + short(os.readlink(f"/proc/self/fd/{handle}")))

    def short(path: str) -> str:
        name = str(Path(path).relative_to(root))
        return re.sub(r"\.live-\w+", "PARTIAL", re.sub(r"\.(manifest\.json)\.\w+", r"\1", name))

    monkeypatch.setattr(os, "fsync", synced)

    def renamed(old: Path, new: Path) -> None:
        rename(old, new)
        done.append(f"name {short(str(new))}")

    monkeypatch.setattr(os, "rename", renamed)
    monkeypatch.setattr(os, "replace", renamed)
    install(server, whole())
    assert done == [
        "sync PARTIAL/vmlinuz",
        "sync PARTIAL/initrd.zst",
        "sync PARTIAL/manifest.json",
        "name PARTIAL/manifest.json",
        "sync PARTIAL",
        "name 1.0",
        "sync .",
        "sync manifest.json",
        "name manifest.json",
        "sync .",
    ]
