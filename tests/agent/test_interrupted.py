"""The real program, stopped in the middle in every way: it says so in time, and the disk does not boot."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path

import pytest

from tests.agent.processes import Slow, flashing, slow_server, wait_for
from tests.conftest import MakeLoop
from tests.core.flash.planning import is_dead, start_of
from tests.fakes.images import MIB, disk_image, qcow2

pytestmark = [pytest.mark.root, pytest.mark.loop]

SIZE = 32 * MIB
PROMPT = 2.0  # seconds from the signal to the end of the program


def ended(process: subprocess.Popen[str]) -> tuple[int, float, str]:
    """Return the exit code, the seconds that the end took, and what was said."""
    began = time.monotonic()
    _, said = process.communicate(timeout=20)
    return process.returncode, time.monotonic() - began, said


def assert_nothing_is_found(disk: Path) -> None:
    """No program takes what is on the disk for anything."""
    assert is_dead(disk)
    assert subprocess.run(["blkid", "-p", disk], capture_output=True).returncode == 2
    looked = subprocess.run(["sfdisk", "--dump", disk], capture_output=True, text=True)
    assert "does not contain a recognized partition table" in looked.stderr


@cache
def random_image() -> bytes:
    return random.Random(3).randbytes(SIZE - 2 * MIB)


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    """An image with a GPT, full of what does not compress."""
    image = disk_image(tmp_path / "disk.img", SIZE)
    whole = bytearray(image.read_bytes())
    whole[MIB:-MIB] = random_image()
    image.write_bytes(whole)
    return bytes(whole)


@pytest.fixture
def disk(make_loop: MakeLoop, tmp_path: Path, data: bytes) -> Path:
    """A disk that holds a bootable system already: the same image."""
    found = make_loop(SIZE)
    subprocess.run(
        ["dd", f"if={tmp_path / 'disk.img'}", f"of={found}", "bs=4M", "conv=fsync"],
        check=True,
        capture_output=True,
    )
    assert not is_dead(found)
    return found


def assert_flashing_works(data: bytes, disk: Path, tmp_path: Path) -> None:
    with flashing(tmp_path / "disk.img", disk) as process:
        code, _, said = ended(process)
    assert code == 0, said
    assert start_of(disk, SIZE) == data


MIDDLE = ('"event": "progress"', f'"disk_bytes": {16 * MIB},')


def test_killed(data: bytes, disk: Path, tmp_path: Path) -> None:
    with slow_server(data, 17 * MIB) as (_, url), flashing(url, disk) as process:
        wait_for(process, *MIDDLE)
        process.kill()
        assert ended(process)[0] == -signal.SIGKILL
    assert_nothing_is_found(disk)
    assert_flashing_works(data, disk, tmp_path)


@pytest.mark.parametrize("one", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("times", [1, 3])
def test_stopped_while_the_server_is_silent(
    one: signal.Signals, times: int, data: bytes, disk: Path, tmp_path: Path
) -> None:
    with slow_server(data, 17 * MIB) as (_, url), flashing(url, disk) as process:
        wait_for(process, *MIDDLE)
        for _ in range(times):
            process.send_signal(one)
            time.sleep(0.02)
        code, seconds, said = ended(process)
    assert (code, said.splitlines()[-2:]) == (
        130,
        ["bty: interrupted", f"     {disk} does not boot now; flash it again"],
    )
    assert seconds < PROMPT
    assert_nothing_is_found(disk)
    if times == 1 and one is signal.SIGINT:
        assert_flashing_works(data, disk, tmp_path)


def test_stopped_while_bytes_come(data: bytes, disk: Path) -> None:
    with slow_server(data, 9 * MIB) as (server, url), flashing(url, disk) as process:
        wait_for(process, '"event": "progress"', f'"disk_bytes": {8 * MIB},')
        pour = threading.Thread(target=_pour, args=(server,))
        pour.start()
        process.send_signal(signal.SIGTERM)
        code, seconds, said = ended(process)
        server.ended = True
        pour.join()
    assert (code, said.splitlines()[-1]) == (130, f"     {disk} does not boot now; flash it again")
    assert seconds < PROMPT
    assert_nothing_is_found(disk)


def _pour(server: Slow) -> None:
    while not server.ended and server.fast < 24 * MIB:
        server.fast += 64 * 1024
        time.sleep(0.01)


@pytest.mark.parametrize("times", [1, 2])
def test_stopped_during_the_read_back(times: int, make_loop: MakeLoop, tmp_path: Path) -> None:
    # Enough for the read-back to take longer than the way of a signal.
    size = 400 * MIB
    disk = make_loop(size, blank=True)
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(size)
        file.write(random_image())
    with flashing(image, disk) as process:
        wait_for(process, '"event": "verifying"')
        for _ in range(times):
            process.send_signal(signal.SIGINT)
        code, seconds, said = ended(process)
    assert (code, said.splitlines()[-2:]) == (
        130,
        ["bty: interrupted", f"     {disk} does not boot now; flash it again"],
    )
    assert seconds < PROMPT
    assert is_dead(disk)


def test_stopped_at_any_moment(data: bytes, make_loop: MakeLoop, tmp_path: Path) -> None:
    """Whenever the signals come, the disk is what the program says of it."""
    disk = make_loop(SIZE)
    seen = set()
    dice = random.Random(5)
    for delay in (0.15, *(0.2 + 0.04 * step for step in range(12)), 1.0):
        with flashing(tmp_path / "disk.img", disk) as process:
            time.sleep(delay)
            for _ in range(2):
                process.send_signal(signal.SIGINT)
                time.sleep(dice.random() * 0.02)
            code, seconds, said = ended(process)
        assert seconds < PROMPT
        assert code in (0, 130, -signal.SIGINT), said
        if f"{disk} does not boot now" in said:
            assert is_dead(disk)
        elif code == 0:
            assert start_of(disk, SIZE) == data
        assert "Traceback" not in said or code == -signal.SIGINT, said
        seen.add(code)
    assert 130 in seen


def test_nohup_is_respected(data: bytes, disk: Path) -> None:
    with slow_server(data, 17 * MIB) as (server, url):
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            running = flashing(url, disk)
            process = running.__enter__()
        finally:
            signal.signal(signal.SIGHUP, before)
        try:
            wait_for(process, *MIDDLE)
            process.send_signal(signal.SIGHUP)
            server.fast = SIZE
            assert ended(process)[0] == 0
        finally:
            running.__exit__(None, None, None)
    assert start_of(disk, SIZE) == data


def test_stopped_before_the_server_says_anything(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/disk.img"
        with flashing(url, Path(f"file:{tmp_path / 'target'}")) as process:
            silent.accept()[0].close()
            connection, _ = silent.accept()
            process.send_signal(signal.SIGTERM)
            code, seconds, said = ended(process)
            connection.close()
    assert (code, said) == (130, "bty: interrupted\n     nothing was written\n")
    assert seconds < PROMPT
    assert not (tmp_path / "target").exists()


@pytest.mark.qemu
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_qemu_ends_with_the_program(
    how: signal.Signals, data: bytes, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    monkeypatch.setenv("TMPDIR", str(temp))
    raw = tmp_path / "big.raw"
    with raw.open("wb") as file:
        file.write(data)
        for _ in range(3):
            file.write(random_image())
    image = qcow2(raw, tmp_path / "disk.qcow2")
    os.truncate(tmp_path / "loop-0.img", 128 * MIB)
    subprocess.run(["losetup", "--set-capacity", disk], check=True)
    with flashing(image, disk) as process:
        wait_for(process, '"event": "progress"')
        deadline = time.monotonic() + 10
        while not (started := _qemu_of(image)) and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(how)
        code, seconds, said = ended(process)
    if started:
        assert code == (-how if how is signal.SIGKILL else 130), said
        assert seconds < PROMPT
    deadline = time.monotonic() + 3
    while _qemu_of(image) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _qemu_of(image) == []
    assert list(temp.iterdir()) == []


@pytest.mark.qemu
def test_qemu_that_was_never_connected_ends_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    raw = tmp_path / "disk.raw"
    raw.write_bytes(bytes(MIB))
    image = qcow2(raw, tmp_path / "disk.qcow2")
    code = (
        "import os, signal\nfrom pathlib import Path\nfrom bty_core.images.nbd import NbdExport\n"
        "NbdExport._connect = lambda *_: (print('started', flush=True), signal.pause())\n"
        f"NbdExport(Path({str(image)!r}), 'qcow2')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        deadline = time.monotonic() + 10
        while not _qemu_of(image) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert _qemu_of(image)
    finally:
        process.kill()
        process.communicate()
    deadline = time.monotonic() + 3
    while _qemu_of(image) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _qemu_of(image) == []


def _qemu_of(image: Path) -> list[int]:
    """Return the qemu-nbd processes that serve `image`."""
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = one.read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(image) in words and words[0].endswith(b"qemu-nbd"):
            found.append(int(one.parent.name))
    return found
