"""Disks whose filesystem the machine has mounted already, from another disk; and odd places for a filesystem."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import MIB, MakeLoop
from tests.core.provisioning.disks import (
    CLOUD,
    MAKE,
    ROOT_AT,
    USER_DATA,
    flash_seeded,
    inside,
    make_image,
    run,
)

pytestmark = [pytest.mark.root, pytest.mark.loop]
SEED = "var/lib/cloud/seed/nocloud-net"


@contextmanager
def in_use(image: Path) -> Iterator[None]:
    """Have the filesystem of an image mounted, as that of a running system."""
    words = f"mount -o loop,offset={ROOT_AT} {image} /mnt && echo mounted && exec sleep 600"
    argv = ["unshare", "--mount", "sh", "-c", words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "mounted\n"
            yield
        finally:
            process.kill()


@pytest.mark.parametrize("filesystem", ["ext4", "xfs"])
def test_its_twin_is_mounted(tmp_path: Path, make_loop: MakeLoop, filesystem: str) -> None:
    image = make_image(tmp_path / "disk.img", filesystem)
    running = tmp_path / "running.img"
    run("cp", "--sparse=always", image, running)
    disk = make_loop(400 * MIB, blank=True)
    with in_use(running):
        said, _ = flash_seeded(image, disk)
    assert said == f"the seed for cloud-init is in /{SEED} of {disk}p1 ({filesystem})"
    assert inside(disk, f"cat {SEED}/user-data") == USER_DATA.decode()
    assert inside(running, f"ls {SEED} 2>/dev/null || true") == ""


def test_a_btrfs_that_the_kernel_would_take_for_its_twin_is_left_alone(
    tmp_path: Path, make_loop: MakeLoop
) -> None:
    image = make_image(tmp_path / "disk.img", "btrfs")
    running = tmp_path / "running.img"
    run("cp", "--sparse=always", image, running)
    disk = make_loop(200 * MIB, blank=True)
    with in_use(running):
        said, _ = flash_seeded(image, disk)
    assert said.endswith("a new CIDATA")
    for one in (running, disk):
        assert inside(one, f"ls {SEED} 2>/dev/null || true") == ""


def test_a_filesystem_on_the_whole_disk(tmp_path: Path, make_loop: MakeLoop) -> None:
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(32 * MIB)
    run(*MAKE["ext4"], image)
    inside(image, CLOUD, at=0)
    disk = make_loop(40 * MIB, blank=True)
    said, _ = flash_seeded(image, disk)
    assert said == f"the seed for cloud-init is in /{SEED} of {disk} (ext4)"
    assert inside(disk, f"cat {SEED}/user-data", at=0) == USER_DATA.decode()


def test_a_root_in_a_logical_partition(tmp_path: Path, make_loop: MakeLoop) -> None:
    image = make_image(tmp_path / "disk.img")
    root = image.read_bytes()[ROOT_AT : ROOT_AT + 32 * MIB]
    with image.open("wb") as file:
        file.truncate(44 * MIB)
    table = "label: dos\nstart=2048, size=2048, type=83\nstart=4096, size=81920, type=5\n"
    logical = "start=6144, size=2048, type=82\nstart=10240, size=65536, type=83\n"
    run("sfdisk", "--quiet", image, stdin=table + logical)
    with image.open("r+b") as file:
        file.seek(5 * MIB)
        file.write(root)
    disk = make_loop(80 * MIB, blank=True)
    said, _ = flash_seeded(image, disk)
    assert said == f"the seed for cloud-init is in /{SEED} of {disk}p6 (ext4)"
    assert inside(disk, f"cat {SEED}/user-data", at=5 * MIB) == USER_DATA.decode()
