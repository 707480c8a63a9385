"""The real program and disks that it must not write, or cannot: exit code, reason, and not one byte changed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.agent.processes import flashing, slow_server, wait_for
from tests.conftest import MakeLoop
from tests.core.flash.planning import is_dead, start_of
from tests.fakes.images import MIB, content
from tests.loops import attach, detach

pytestmark = [pytest.mark.root, pytest.mark.loop]

DATA = content(5 * MIB, seed=21)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    found = tmp_path / "disk.img"
    found.write_bytes(DATA)
    return found


def bty(image: Path, target: Path | str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run ``bty flash`` to its end."""
    argv = [sys.executable, "-m", "bty_agent", "flash", "--image", str(image)]
    return subprocess.run(
        [*argv, "--target", str(target), *options], capture_output=True, text=True, timeout=60
    )


def refused(image: Path, target: Path | str, code: str, why: str) -> None:
    """Both ways to ask are refused, for the reason `code` with `why` in its sentence."""
    planned = bty(image, target, "--dry-run", "--json")
    assert planned.returncode == 5, planned.stderr
    reasons = json.loads(planned.stdout)["refusals"]
    assert [reason["code"] for reason in reasons] == [code]
    assert why in reasons[0]["message"]
    done = bty(image, target, "--yes")
    assert done.returncode == 5
    assert f"bty: {reasons[0]['message']}\n" in done.stderr
    assert done.stderr.endswith(f"nothing was written to {target}\n")


@contextmanager
def mounted(what: Path | str, where: Path, *options: str) -> Iterator[Path]:
    where.mkdir(exist_ok=True)
    subprocess.run(["mount", *options, what, where], check=True, capture_output=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", where], check=True)


def test_a_mounted_disk(make_loop: MakeLoop, image: Path, tmp_path: Path) -> None:
    disk = make_loop(16 * MIB, blank=True)
    subprocess.run(["mkfs.ext4", "-q", disk], check=True, capture_output=True)
    with mounted(disk, tmp_path / "mnt") as where:
        (where / "precious").write_text("still here")
        refused(image, disk, "disk-busy", f"mounted on {where}")
        assert (where / "precious").read_text() == "still here"
    with mounted(disk, tmp_path / "mnt") as where:
        assert (where / "precious").read_text() == "still here"


def test_swap(make_loop: MakeLoop, image: Path) -> None:
    disk = make_loop(16 * MIB, blank=True)
    subprocess.run(["mkswap", disk], check=True, capture_output=True)
    if subprocess.run(["swapon", disk], capture_output=True).returncode:
        pytest.skip("swap: this kernel does not swap here")
    try:
        refused(image, disk, "disk-busy", "swap")
    finally:
        subprocess.run(["swapoff", disk], check=True)


def test_a_read_only_disk(make_loop: MakeLoop, image: Path) -> None:
    disk = make_loop(16 * MIB, read_only=True)
    refused(image, disk, "disk-read-only", "is read-only")
    assert set(disk.read_bytes()) == {0xFF}


def test_the_disk_of_the_running_system(image: Path) -> None:
    """Looks only: nothing is written even if it were not refused."""
    devices = subprocess.run(
        ["lsblk", "--json", "-o", "PATH,TYPE,MOUNTPOINTS", "--list"],
        capture_output=True,
        text=True,
        check=True,
    )
    root = next(
        (
            row["path"]
            for row in json.loads(devices.stdout)["blockdevices"]
            if row["type"] == "disk" and "/" in row["mountpoints"]
        ),
        None,
    )
    if root is None:
        pytest.skip("root disk: the root of this system is no whole disk")
    planned = bty(image, root, "--dry-run", "--json")
    assert planned.returncode == 5
    codes = [reason["code"] for reason in json.loads(planned.stdout)["refusals"]]
    assert codes[0] == "running-system"


def test_a_partition(make_loop: MakeLoop, image: Path, tmp_path: Path) -> None:
    disk = make_loop(16 * MIB)
    subprocess.run(["losetup", "--detach", disk], check=True)
    subprocess.run(["losetup", "--partscan", disk, tmp_path / "loop-0.img"], check=True)
    subprocess.run(["addpart", disk, "1", "2048", "8192"], check=True)
    part = Path(f"{disk}p1")
    made = not part.exists()
    if made:
        major, _, minor = Path(f"/sys/class/block/{part.name}/dev").read_text().partition(":")
        os.mknod(part, 0o60660, os.makedev(int(major), int(minor)))
    try:
        for option in ("--dry-run", "--yes"):
            done = bty(image, part, option)
            assert done.returncode == 5
            assert f"bty: {part} is a partition of {disk}\n" in done.stderr
        assert set(disk.read_bytes()) == {0xFF}
    finally:
        subprocess.run(["delpart", disk, "1"], check=True)
        if made:
            part.unlink()


def test_a_loop_device_on_a_loop_device(make_loop: MakeLoop, image: Path) -> None:
    below = make_loop(16 * MIB)
    above = attach(below)
    try:
        refused(image, below, "disk-busy", str(above))
        done = bty(image, above, "--yes")
        assert (done.returncode, "made of other devices" in done.stderr) == (5, True)
        assert set(below.read_bytes()) == {0xFF}
    finally:
        detach(above)


def test_the_image_behind_its_own_disk(image: Path) -> None:
    disk = attach(image)
    try:
        done = bty(image, disk, "--yes")
    finally:
        detach(disk)
    assert done.returncode == 5
    assert done.stderr.splitlines()[-3:] == [
        f"bty: {disk} is the image itself, and would be erased before it is read",
        "     hint: choose another target, or copy the image first",
        f"     nothing was written to {disk}",
    ]
    assert image.read_bytes() == DATA


def test_two_at_once(image: Path, make_loop: MakeLoop) -> None:
    disk = make_loop(16 * MIB, blank=True)
    with slow_server(DATA, len(DATA) - 1) as (server, url), flashing(url, disk) as first:
        wait_for(first, '"event": "started"')
        second = bty(image, disk, "--yes")
        server.fast = len(DATA)
        first.communicate()
        assert first.returncode == 0
    assert second.returncode == 5
    assert f"{disk} is in use: claimed by another program\n" in second.stderr
    assert start_of(disk, len(DATA)) == DATA


def test_a_disk_that_is_cut_off_in_the_middle(make_loop: MakeLoop, tmp_path: Path) -> None:
    """The file behind the disk shrinks while it is read back: the nearest to a pulled cable that a loop device does."""
    size = 400 * MIB
    disk = make_loop(size, blank=True)
    image = tmp_path / "big.img"
    data = random.Random(4).randbytes(16 * MIB) * 25
    image.write_bytes(data)
    with flashing(image, disk) as process:
        wait_for(process, '"event": "verifying"')
        os.truncate(tmp_path / "loop-0.img", 8 * MIB)
        _, said = process.communicate()
        assert process.returncode in (6, 8), said
    assert said.endswith(f"     {disk} does not boot now; flash it again\n")
    os.truncate(tmp_path / "loop-0.img", size)
    assert is_dead(disk)


def test_a_store_that_fills_up_in_the_middle(tmp_path: Path) -> None:
    image = tmp_path / "big.img"
    image.write_bytes(random.Random(4).randbytes(24 * MIB))
    with mounted("bty-test", tmp_path / "store", "-t", "tmpfs", "-o", "size=12m") as store:
        backing = store / "disk"
        with backing.open("wb") as file:
            file.truncate(32 * MIB)
        disk = attach(backing)
        try:
            done = bty(image, disk, "--yes")
            assert done.returncode == 8
            assert done.stderr.endswith(f"     {disk} does not boot now; flash it again\n")
            assert is_dead(disk)
        finally:
            detach(disk)


def test_a_closed_standard_error(make_loop: MakeLoop, image: Path) -> None:
    """The disk must not be opened under the number of a stream that somebody writes to."""
    disk = make_loop(16 * MIB)
    shell = '"$@" <&- >&- 2>&-'
    argv = [sys.executable, "-m", "bty_agent", "flash", "--yes", "--image", str(image)]
    done = subprocess.run(["sh", "-c", shell, "sh", *argv, "--target", str(disk)])
    assert done.returncode == 0
    assert start_of(disk, len(DATA)) == DATA


@pytest.mark.parametrize("progress", ["ndjson", "text"])
def test_a_reader_that_leaves_hides_no_failure(
    progress: str, make_loop: MakeLoop, image: Path
) -> None:
    disk = make_loop(16 * MIB)
    wrong = "ab" * 32
    reading, writing = os.pipe()
    os.close(reading)
    argv = [sys.executable, "-m", "bty_agent", "flash", "--yes", "--progress", progress]
    argv += ["--image", str(image), "--target", str(disk)]
    done = subprocess.run([*argv, "--sha256", wrong], stdout=writing, stderr=writing)
    assert done.returncode == 6
    assert is_dead(disk)
    assert subprocess.run(argv, stdout=writing, stderr=writing).returncode == 0
    os.close(writing)
    assert start_of(disk, len(DATA)) == DATA
