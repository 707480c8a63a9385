"""What a person may name that is no disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bty_core.disks.file_target import file_disk
from bty_core.disks.find import find_disk
from bty_core.disks.lsblk import claimed, read_disk
from bty_core.disks.model import Kind
from bty_core.disks.select import Selector
from bty_core.errors import DiskNotFound, NotADisk, Refused

LIST = "list the disks: bty disks"


def refused(path: Path) -> tuple[type[Refused], str, str | None]:
    with pytest.raises(Refused) as caught:
        read_disk(path)
    return type(caught.value), caught.value.message, caught.value.hint


def test_a_regular_file(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.touch()
    expected = (
        NotADisk,
        f"{file} is a regular file",
        f"write file:{file} to flash a regular file",
    )
    assert refused(file) == expected
    with pytest.raises(NotADisk, match=r"is a regular file$"):
        find_disk(Selector.parse(str(file)))


def test_other_things(tmp_path: Path) -> None:
    pipe, loop, gone = tmp_path / "pipe", tmp_path / "loop", tmp_path / "gone"
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    gone.symlink_to("nowhere")
    (tmp_path / "file").touch()
    assert refused(tmp_path) == (NotADisk, f"{tmp_path} is a folder", LIST)
    assert refused(Path("/dev/null")) == (NotADisk, "/dev/null is a character device", LIST)
    assert refused(pipe) == (NotADisk, f"{pipe} is not a block device", LIST)
    assert refused(loop) == (
        NotADisk,
        f"{loop} cannot be followed: Too many levels of symbolic links",
        None,
    )
    assert refused(gone) == (
        DiskNotFound,
        f"{gone} is a link to nowhere, which is not there",
        LIST,
    )
    for missing in (tmp_path / "missing", tmp_path / "file" / "x"):
        assert refused(missing) == (DiskNotFound, f"there is no {missing}", LIST)


def test_a_file_that_is_not_claimed(tmp_path: Path) -> None:
    assert not claimed(tmp_path / "missing")


def test_a_file_target(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    absent = file_disk(path)
    assert (absent.path, absent.kind, absent.size) == (path, Kind.FILE, 0)
    assert (absent.logical_sector, absent.device, absent.uses) == (512, (0, 0), ())
    path.write_bytes(bytes(1000))
    link = tmp_path / "link"
    link.symlink_to(path)
    present = file_disk(link)
    assert (present.path, present.size, present.read_only) == (path, 1000, False)
    assert find_disk(Selector.parse(f"file:{path}")) == present


def test_what_is_no_file_target(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    inside = tmp_path / "no" / "x.img"
    below = pipe / "x.img"
    expected: dict[Path, tuple[type[Refused], str, str | None]] = {
        tmp_path: (
            NotADisk,
            f"{tmp_path} is a folder, not a regular file",
            f"name a file in it: file:{tmp_path}/disk.img",
        ),
        pipe: (
            NotADisk,
            f"{pipe} is not a regular file",
            "name a regular file, or one that is not there yet",
        ),
        inside: (
            DiskNotFound,
            f"{inside} cannot be made: there is no folder {tmp_path / 'no'}",
            "make the folder first",
        ),
        below: (NotADisk, f"{below} cannot be looked at: Not a directory", None),
    }
    for path, what in expected.items():
        with pytest.raises(Refused) as caught:
            file_disk(path)
        assert (type(caught.value), caught.value.message, caught.value.hint) == what
