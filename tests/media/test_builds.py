"""`list` and `verify`: what is there, and whether it is what its manifest says."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bty_media.builds import newest
from bty_media.exits import Exit
from bty_media.manifest import MANIFEST, SUMS, Kind, read, write
from tests.media.running import BOOT, bty_media, make_build


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build of the network environment."""
    files = {"vmlinuz": b"kernel", "initrd.img": b"initrd" * 1000}
    return make_build(tmp_path / "media", Kind.PXE, "1.0", files)


def test_nothing_is_there(tmp_path: Path) -> None:
    ran = bty_media("list", "--output", tmp_path / "none")
    assert (ran.code, ran.out) == (Exit.DONE, "")
    assert ran.said == [
        f"bty-media: there are no builds in {tmp_path}/none",
        "     hint: bty-media build usb makes one, or name another folder with --output",
    ]


def test_builds_are_listed_by_kind_and_time(tmp_path: Path, build: Path) -> None:
    media = build.parent
    make_build(media, Kind.PXE, "0.9", {"vmlinuz": b"k", "initrd.img": b"i"}, day=2)
    make_build(media, Kind.USB, "1.1", {"bty-usb-1.1.img": bytes(2000)})
    # A build that broke off, the logs, and one whose manifest is no manifest.
    shutil.copytree(build, media / ".pxe-2.0.part")
    (media / "logs").mkdir()
    (media / "old").mkdir()
    (media / "old" / MANIFEST).write_text("{}")
    ran = bty_media("list", "--output", media)
    assert ran.code == Exit.DONE
    assert ran.out.splitlines() == [
        f"KIND  VERSION  SIZE     CREATED     {'FOLDER'}",
        f"usb   1.1      2.00 kB  2026-11-01  {media}/usb-1.1",
        f"pxe   1.0      6.01 kB  2026-11-01  {media}/pxe-1.0",
        f"pxe   0.9      2 B      2026-11-02  {media}/pxe-0.9",
        f"?     -        -        -           {media}/old",
    ]
    assert ran.said == [f"bty-media: {media}/old/{MANIFEST}: 'files' is missing"]
    assert newest(media, Kind.PXE).folder == media / "pxe-0.9"


def test_the_list_as_json(build: Path) -> None:
    found = bty_media("list", "--output", build.parent, "--json").json
    assert found["command"] == "list-builds"
    assert found["schema_version"] == "1"
    (one,) = found["builds"]
    assert (one["path"], one["kind"], one["version"]) == (str(build), "pxe", "1.0")
    assert (one["created"], one["size_bytes"]) == ("2026-11-01T00:00:00Z", 6006)
    assert one["problem"] is None
    assert [file["name"] for file in one["files"]] == ["initrd.img", "vmlinuz"]


def test_a_manifest_is_read_as_it_was_written(build: Path) -> None:
    found = read(build)
    assert found.boot == BOOT
    assert found.packages == [("bash", "5.2.37-2+b7")]
    before = (build / MANIFEST).read_text()
    write(build, found)
    assert (build / MANIFEST).read_text() == before
    assert sorted(one.name for one in build.iterdir()) == [
        SUMS, "initrd.img", MANIFEST, "vmlinuz",
    ]  # fmt: skip


def test_a_whole_build(build: Path) -> None:
    ran = bty_media("verify", build)
    assert (ran.code, ran.err) == (Exit.DONE, "")
    assert ran.out == f"{build} is whole: pxe 1.0, 2 files, 6.01 kB\n"
    assert bty_media("verify", build, "--json").json["equal"] is True


def test_other_programs_can_check_it_too(build: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", SUMS], cwd=build, check=True)


def spoil(name: str) -> Callable[[Path], None]:
    """Change one byte."""

    def change(build: Path) -> None:
        data = bytearray((build / name).read_bytes())
        data[-2] ^= 1
        (build / name).write_bytes(data)

    return change


def name_another(build: Path) -> None:
    with (build / SUMS).open("a") as file:
        file.write(f"{'a' * 64}  more.img\n")


def leave_out(build: Path) -> None:
    lines = (build / SUMS).read_text().splitlines(keepends=True)
    (build / SUMS).write_text("".join(line for line in lines if "vmlinuz" not in line))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (spoil("vmlinuz"), "vmlinuz: its SHA-256 is "),
        (lambda build: (build / "vmlinuz").write_bytes(b"k"), "vmlinuz: it has 1 bytes instead of 6"),
        (lambda build: (build / "initrd.img").unlink(), "initrd.img: it is missing"),
        (lambda build: (build / "more").mkdir(), "more: the manifest does not name it"),
        (lambda build: (build / SUMS).unlink(), "SHA256SUMS: it is missing"),
        (name_another, "SHA256SUMS: it names more.img, which is no file of the build"),
        (leave_out, "SHA256SUMS: it does not name vmlinuz"),
    ],
)  # fmt: skip
def test_each_difference_is_said(build: Path, damage: Callable[[Path], None], said: str) -> None:
    damage(build)
    ran = bty_media("verify", build)
    assert (ran.code, ran.out) == (Exit.INTEGRITY, "")
    assert len(ran.said) == 2
    assert ran.said[0].startswith(f"bty-media: {said}")
    told = bty_media("verify", build, "--json")
    assert told.code == Exit.INTEGRITY
    assert told.json["equal"] is False
    assert [f"bty-media: {one}" for one in told.json["differences"]] == ran.said[:1]


def test_a_link_is_no_file_of_a_build(build: Path, tmp_path: Path) -> None:
    (build / "vmlinuz").rename(tmp_path / "kernel")
    (build / "vmlinuz").symlink_to(tmp_path / "kernel")
    assert bty_media("verify", build).said[0] == "bty-media: vmlinuz: it is no regular file"


def test_a_manifest_that_was_changed_is_seen_in_the_sums(build: Path) -> None:
    message = json.loads((build / MANIFEST).read_text())
    message["version"] = "1.1"
    (build / MANIFEST).write_text(json.dumps(message))
    (said, _hint) = bty_media("verify", build).said
    assert said.startswith("bty-media: SHA256SUMS: it says ")
    assert " of manifest.json instead of " in said


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("kind", "iso", "'kind' must be one of usb, pxe, server"),
        ("created", "yesterday", "'created': 'yesterday' is no time in UTC"),
        ("files", {"../vmlinuz": {"sha256": "a" * 64, "size": 1}}, "is no name of a file beside"),
        ("files", {"vmlinuz": {"sha256": "a", "size": 1}}, "'a' is not a SHA-256 digest"),
        ("packages", "bash", "'packages' is no list"),
    ],
)
def test_a_broken_manifest_is_a_sentence(build: Path, field: str, value: object, said: str) -> None:
    message = json.loads((build / MANIFEST).read_text())
    (build / MANIFEST).write_text(json.dumps({**message, field: value}))
    ran = bty_media("verify", build)
    assert (ran.code, ran.out) == (Exit.INTEGRITY, "")
    assert said in ran.said[0]
    assert ran.said[1:] == ["     hint: build it again"]


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100_000, b"[]"])
def test_rubbish_is_a_sentence(build: Path, content: bytes) -> None:
    (build / MANIFEST).write_bytes(content)
    ran = bty_media("verify", build)
    assert (ran.code, len(ran.said)) == (Exit.INTEGRITY, 2)


def test_a_folder_without_a_build(tmp_path: Path) -> None:
    ran = bty_media("verify", tmp_path)
    assert (ran.code, ran.out) == (Exit.UNREACHABLE, "")
    assert ran.said == [
        f"bty-media: {tmp_path} holds no build: manifest.json: no such file or directory",
        "     hint: bty-media list shows the builds that are there",
    ]
