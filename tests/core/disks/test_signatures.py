"""What is on a disk, where no udev has looked."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bty_core.disks.lsblk import read_disk
from bty_core.disks.model import Disk
from bty_core.disks.signatures import with_signatures
from tests.conftest import MakeLoop

pytestmark = [pytest.mark.root, pytest.mark.loop]
MIB = 2**20


def plain(disk: Path) -> Disk:
    return replace(read_disk(disk), table=None, filesystem=None, label=None)


def test_a_filesystem_and_its_label_are_found(make_loop: MakeLoop, tmp_path: Path) -> None:
    disk = make_loop(16 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-L", "my files", str(disk)], check=True)
    found = with_signatures(plain(disk), udev=tmp_path / "none")
    assert (found.table, found.filesystem, found.label) == (None, "ext4", "my files")


def test_a_partition_table_is_found(make_loop: MakeLoop, tmp_path: Path) -> None:
    disk = make_loop(16 * MIB)
    subprocess.run(
        ["sfdisk", "-q", str(disk)], input=b"label: gpt\n-\n", check=True, capture_output=True
    )
    found = with_signatures(plain(disk), udev=tmp_path / "none")
    assert (found.table, found.filesystem) == ("gpt", None)


def test_a_disk_without_anything_has_nothing(loop_disk: Path, tmp_path: Path) -> None:
    found = with_signatures(plain(loop_disk), udev=tmp_path / "none")
    assert (found.table, found.filesystem, found.label) == (None, None, None)


def test_where_udev_is_its_word_is_enough(make_loop: MakeLoop, tmp_path: Path) -> None:
    disk = make_loop(16 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(disk)], check=True)
    known = plain(disk)
    assert with_signatures(known, udev=tmp_path) is known
