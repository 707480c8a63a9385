"""Archives for the kernel, read back by a program that is not ours."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from bty_core.errors import InvalidValue
from bty_media.builder.newc import append_files


def unpacked(archive: Path, into: Path) -> dict[str, bytes]:
    """Return the files that busybox's cpio finds in the first archive of a file."""
    into.mkdir()
    with archive.open("rb") as file:
        words = ["busybox", "cpio", "-idm"]
        subprocess.run(words, stdin=file, cwd=into, check=True, capture_output=True)
    return {
        str(path.relative_to(into)): path.read_bytes() for path in into.rglob("*") if path.is_file()
    }


def test_files_and_folders_come_back_with_their_permissions(tmp_path: Path) -> None:
    program, odd = tmp_path / "program", tmp_path / "odd"
    program.write_bytes(b"#!/bin/sh\n")
    odd.write_bytes(os.urandom(70_001))
    archive = tmp_path / "initrd"
    with archive.open("wb") as file:
        append_files(
            file,
            {
                PurePosixPath("init"): (program, 0o755),
                PurePosixPath("live/deep/odd"): (odd, 0o644),
            },
            folders=["proc"],
        )
    found = unpacked(archive, tmp_path / "out")
    assert found == {"init": program.read_bytes(), "live/deep/odd": odd.read_bytes()}
    assert (tmp_path / "out/init").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/proc").is_dir()
    assert archive.stat().st_size % 512 == 0


def test_an_archive_is_appended_where_the_kernel_looks_for_the_next_one(tmp_path: Path) -> None:
    one = tmp_path / "one"
    one.write_bytes(b"1")
    archive = tmp_path / "initrd"
    archive.write_bytes(b"before")
    with archive.open("ab") as file:
        append_files(file, {PurePosixPath("one"): (one, 0o644)})
    assert archive.read_bytes()[:518] == b"before" + bytes(506) + b"070701"


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "a").write_bytes(b"a")
        (folder / "b").write_bytes(b"b")
        files = {PurePosixPath(one): (folder / one, 0o644) for one in ("b", "a")}
        with (folder / "initrd").open("wb") as file:
            append_files(file, dict(sorted(files.items(), reverse=name == "first")))
        made.append((folder / "initrd").read_bytes())
    assert made[0] == made[1]


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside", "."])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    one = tmp_path / "one"
    one.write_bytes(b"1")
    with (tmp_path / "initrd").open("wb") as file, pytest.raises(InvalidValue, match="relative"):
        append_files(file, {PurePosixPath(name): (one, 0o644)})


def test_a_file_that_the_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(1 << 32)
    with (tmp_path / "initrd").open("wb") as file, pytest.raises(InvalidValue, match="4 GiB"):
        append_files(file, {PurePosixPath("huge"): (huge, 0o644)})
