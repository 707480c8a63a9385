"""Moving the GPT's backup to the end of a larger disk; sgdisk is the judge."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bty_core.errors import ImageCorrupt
from bty_core.flash.gpt import move_backup
from tests.fakes.images import MIB, disk_image


def test_sgdisk_finds_nothing_wrong_with_a_moved_gpt(tmp_path: Path) -> None:
    path = disk_image(tmp_path / "disk.img")
    size = 40 * MIB + 512
    moved = move_backup(path.read_bytes()[:MIB], size)
    assert moved is not None
    with path.open("r+b") as file:
        file.truncate(size)
        file.write(moved.head)
        file.seek(moved.backup_at)
        file.write(moved.backup)
        assert file.tell() == size
    said = subprocess.run(
        ["sgdisk", "--verify", "--print", str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert "No problems found" in said
    assert f"last usable sector is {size // 512 - 34}" in said


def test_a_backup_at_the_end_stays(tmp_path: Path) -> None:
    path = disk_image(tmp_path / "disk.img")
    assert move_backup(path.read_bytes()[:MIB], 24 * MIB) is None


def test_no_gpt_is_left_alone() -> None:
    assert move_backup(bytes(MIB), 40 * MIB) is None


@pytest.mark.parametrize("at", [512 + 40, 1024 + 5])
def test_wrong_checksums_are_not_carried_on(tmp_path: Path, at: int) -> None:
    head = bytearray(disk_image(tmp_path / "disk.img").read_bytes()[:MIB])
    head[at] ^= 1
    with pytest.raises(ImageCorrupt) as caught:
        move_backup(bytes(head), 40 * MIB)
    assert caught.value.message == "the GPT of the image has wrong checksums"
