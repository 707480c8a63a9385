"""The FAT that bty writes, as dosfstools, mtools and blkid read it."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from bty_core.provisioning.fat import LARGEST, capacity, filesystem
from tests.core.provisioning.disks import run
from tests.fakes.images import MIB

KIB = 1024


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("size", [100 * KIB, MIB, 5 * MIB + 512, LARGEST, 64 * MIB])
def test_other_programs_find_a_whole_filesystem(tmp_path: Path, size: int, sector: int) -> None:
    dice = random.Random(size)
    files = {
        "user-data": dice.randbytes(3 * 4096),
        "meta-data": b"instance-id: a\n",
        "network-config": dice.randbytes(4097),
        "empty": b"",
    }
    image = tmp_path / "fat"
    image.write_bytes(filesystem(size, sector, "CIDATA", files, serial=0xABCD1234))
    assert image.stat().st_size <= min(size, LARGEST)
    run("fsck.vfat", "-n", image)
    for name, data in files.items():
        words = ["mtype", "-i", str(image), f"::{name}"]
        assert subprocess.run(words, capture_output=True, check=True).stdout == data
    told = run("blkid", "--probe", "--output", "export", image).split()
    assert {"LABEL=CIDATA", "TYPE=vfat", "UUID=ABCD-1234"} <= set(told)


@pytest.mark.parametrize("sector", [512, 4096])
def test_it_takes_what_it_says_and_no_more(tmp_path: Path, sector: int) -> None:
    most = capacity(MIB, sector)
    image = tmp_path / "fat"
    image.write_bytes(filesystem(MIB, sector, "CIDATA", {"a": b"x" * most}))
    run("fsck.vfat", "-n", image)
    with pytest.raises(ValueError, match="do not fit"):
        filesystem(MIB, sector, "CIDATA", {"a": b"x" * (most + 1)})
    assert capacity(8 * KIB, sector) == 0
