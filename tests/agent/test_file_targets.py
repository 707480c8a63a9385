"""The real program and regular files that stand for disks."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.processes import flashing, slow_server, wait_for
from tests.agent.test_disk_safety import bty, mounted
from tests.fakes.images import MIB, content

DATA = content(5 * MIB + 77, seed=22)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    found = tmp_path / "disk.img"
    found.write_bytes(DATA)
    return found


def test_a_new_file_is_the_image(image: Path, tmp_path: Path) -> None:
    done = bty(image, f"file:{tmp_path / 'new'}", "--yes")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new").read_bytes() == DATA


@pytest.mark.parametrize("size", [0, 1, MIB, 5 * MIB + 76])
def test_a_smaller_file_grows(size: int, image: Path, tmp_path: Path) -> None:
    target = tmp_path / "small"
    target.write_bytes(b"\xff" * size)
    assert bty(image, f"file:{target}", "--yes").returncode == 0
    assert target.read_bytes() == DATA


def test_a_larger_file_keeps_its_size_and_what_is_behind(image: Path, tmp_path: Path) -> None:
    target = tmp_path / "large"
    target.write_bytes(b"\xff" * 9 * MIB)
    assert bty(image, f"file:{target}", "--yes").returncode == 0
    found = target.read_bytes()
    assert found[: len(DATA)] == DATA
    assert found[len(DATA) :] == b"\xff" * (8 * MIB - len(DATA)) + bytes(MIB)


def test_a_link_leads_to_the_file(image: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    assert bty(image, f"file:{tmp_path / 'link'}", "--yes").returncode == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == DATA


@pytest.mark.parametrize("other", ["disk.img", "link", "hard"])
def test_the_image_itself_is_refused(other: str, image: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(image)
    os.link(image, tmp_path / "hard")
    target = tmp_path / other
    done = bty(image, f"file:{target}", "--yes")
    assert done.returncode == 5
    real = target.resolve()
    assert done.stderr.splitlines()[-3:] == [
        f"bty: {real} is the image itself, and would be erased before it is read",
        "     hint: choose another target, or copy the image first",
        f"     nothing was written to {real}",
    ]
    assert image.read_bytes() == DATA


@pytest.mark.root
def test_no_room(image: Path, tmp_path: Path) -> None:
    with mounted("bty-test", tmp_path / "store", "-t", "tmpfs", "-o", "size=3m") as store:
        done = bty(image, f"file:{store / 'disk'}", "--yes")
        assert done.returncode == 8
        assert "failed: no space left\n" in done.stderr
        assert not any((store / "disk").read_bytes()[:MIB])


@pytest.mark.root
def test_a_read_only_folder(image: Path, tmp_path: Path) -> None:
    with mounted("bty-test", tmp_path / "store", "-t", "tmpfs", "-o", "ro") as store:
        done = bty(image, f"file:{store / 'disk'}", "--yes")
        assert done.returncode == 5
        assert f"bty: {store / 'disk'} is read-only\n" in done.stderr


def test_a_limit_on_files(image: Path, tmp_path: Path) -> None:
    """A write error that is not a full disk."""
    target = tmp_path / "disk"
    argv = [sys.executable, "-m", "bty_agent", "flash", "--yes", "--image", str(image)]
    done = subprocess.run(
        [*argv, "--target", f"file:{target}"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MIB, 4 * MIB)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 8
    assert done.stderr.splitlines()[-3:] == [
        f"bty: writing {target} at byte {4 * MIB} failed: File too large",
        "     hint: check the disk and the limits of the folder",
        f"     {target} does not boot now; flash it again",
    ]
    assert not any(target.read_bytes()[:MIB])


def test_two_at_once(image: Path, tmp_path: Path) -> None:
    target = tmp_path / "disk"
    with (
        slow_server(DATA, len(DATA) - 1) as (server, url),
        flashing(url, Path(f"file:{target}")) as first,
    ):
        wait_for(first, '"event": "started"')
        second = bty(image, f"file:{target}", "--yes")
        server.fast = len(DATA)
        first.communicate()
        assert first.returncode == 0
    assert second.returncode == 5
    assert f"bty: {target} is in use by another program\n" in second.stderr
    assert target.read_bytes() == DATA
