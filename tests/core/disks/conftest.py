"""Loop devices, made and given back by each test."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

MIB = 1 << 20
MakeLoop = Callable[..., Path]


@pytest.fixture
def make_loop(tmp_path: Path) -> Iterator[MakeLoop]:
    """Make loop devices of any size and sector size."""
    disks: list[Path] = []

    def make(size: int, sector: int = 512, read_only: bool = False) -> Path:
        backing = tmp_path / f"loop-{len(disks)}.img"
        with backing.open("wb") as file:
            file.truncate(size)
        argv: list[str | Path] = ["losetup", "--find", "--show", f"--sector-size={sector}", backing]
        if read_only:
            argv.append("--read-only")
        found = subprocess.run(argv, check=True, capture_output=True, text=True)
        disks.append(Path(found.stdout.strip()))
        return disks[-1]

    yield make
    for disk in reversed(disks):
        subprocess.run(["losetup", "--detach", disk], check=False)


@pytest.fixture(params=[512, 4096], ids="sector{}".format)
def loop_disk(request: pytest.FixtureRequest, make_loop: MakeLoop) -> Path:
    """A disk of 16 MiB in both sector sizes."""
    return make_loop(16 * MIB, sector=request.param)
