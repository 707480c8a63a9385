"""Each exit code, provoked through the public door, with the whole message."""

from __future__ import annotations

import resource
import signal
import socket
from pathlib import Path

import pytest

from bty_agent import host
from bty_agent.cli import build_parser
from bty_agent.commands import command, disks
from bty_agent.exits import MEANINGS, Exit, exit_for
from bty_core import errors
from bty_core.disks.lsblk import parse
from bty_core.disks.sysfs import KernelFacts
from bty_core.program.parser import commands_of
from bty_core.values import MIB
from bty_core.wire.fields import InvalidField
from tests.agent.running import bty, lines, small_image
from tests.fakes.images import disk_image, zstd
from tests.style.test_errors import failures

DATA = Path(__file__).parents[1] / "data" / "lsblk"

# By hand, from the table of exit codes; a new failure has to be added here.
TABLE = {
    "error": 1,
    "invalid-value": 2,
    "needs-root": 3,
    "program-missing": 4,
    "command-failed": 1,
    "refused": 5,
    "disk-not-found": 5,
    "disk-ambiguous": 5,
    "not-a-disk": 5,
    "disk-busy": 5,
    "running-system": 5,
    "disk-read-only": 5,
    "disk-too-small": 5,
    "no-boot-entry": 5,
    "not-a-stick": 5,
    "stick-occupied": 5,
    "disk-changed": 5,
    "sector-size": 5,
    "invalid-field": 2,
    "image-refused": 5,
    "image-is-target": 5,
    "window-too-large": 5,
    "image-unavailable": 7,
    "image-corrupt": 6,
    "digest-mismatch": 6,
    "verify-failed": 6,
    "write-failed": 8,
    "seed-refused": 5,
    "no-place-for-seed": 5,
    "no-root-in-image": 5,
    "workflow-refused": 5,
    "provisioning-failed": 9,
    "root-not-found": 9,
    "seed-not-placed": 9,
    "seed-would-be-ignored": 9,
    "unsafe-path": 9,
    "workflow-failed": 9,
    "cancelled": 130,
}


def test_every_failure_has_the_exit_code_of_the_table() -> None:
    kinds = [
        kind
        for kind in failures()
        if kind is not errors.Refusals and kind.__module__.startswith("bty_core.")
    ]
    made = [InvalidField("size", "odd") if kind is InvalidField else kind("odd") for kind in kinds]
    assert {error.code: int(exit_for(error)) for error in made} == TABLE
    assert exit_for(errors.Refusals([errors.DiskBusy("odd")])) == Exit.REFUSED


def test_every_exit_code_has_a_meaning() -> None:
    assert {int(code) for code in Exit} == {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130}
    assert list(MEANINGS) == list(Exit)
    assert all(MEANINGS.values())


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> dict[str, BaseException]:
    """A `bty disks` that fails as the test says."""
    failure: dict[str, BaseException] = {}

    def run(*_: object) -> Exit:
        raise failure["it"]

    monkeypatch.setattr(disks, "run", run)
    return failure


def test_1_a_bug_is_shown_whole(broken: dict[str, BaseException]) -> None:
    broken["it"] = RuntimeError("odd")
    ran = bty("disks")
    assert (ran.code, ran.out) == (1, "")
    assert lines(ran.err)[0] == "Traceback (most recent call last):"
    assert lines(ran.err)[-2:] == [
        "RuntimeError: odd",
        "bty: this is a bug; please report it with the lines above",
    ]


def test_1_a_program_that_failed(broken: dict[str, BaseException]) -> None:
    broken["it"] = errors.CommandFailed("lsblk failed with status 1: odd")
    ran = bty("disks")
    assert (ran.code, ran.out, ran.err) == (1, "", "bty: lsblk failed with status 1: odd\n")


def test_2_a_command_that_is_none() -> None:
    ran = bty("flsh")
    assert (ran.code, ran.out) == (2, "")
    assert lines(ran.err) == [
        "bty: there is no command 'flsh': choose one of disks, images, inspect, flash, verify,"
        " inventory, completion",
        "     hint: bty --help lists what there is",
    ]


def test_3_root_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = parse((DATA / "sas-raid.json").read_text(), facts=KernelFacts())
    monkeypatch.setattr(host, "find_disk", lambda _: found[0])
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    ran = bty("flash", "--image", small_image(tmp_path), "--target", "model:PERC", "--yes")
    assert (ran.code, ran.out) == (3, "")
    assert lines(ran.err)[-2:] == [
        "bty: writing to /dev/sda needs root",
        "     hint: run it again with sudo",
    ]


def test_4_a_program_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    ran = bty("disks")
    assert (ran.code, ran.out) == (4, "")
    assert lines(ran.err) == [
        "bty: lsblk is not installed",
        "     hint: install it: apt install util-linux",
    ]


def test_5_refused(tmp_path: Path) -> None:
    ran = bty("verify", "--image", small_image(tmp_path), "--target", f"file:{tmp_path}")
    assert (ran.code, ran.out) == (5, "")
    assert lines(ran.err) == [
        f"bty: {tmp_path} is a folder, not a regular file",
        f"     hint: name a file in it: file:{tmp_path}/disk.img",
    ]


def test_6_an_image_that_is_cut_short(tmp_path: Path) -> None:
    image = tmp_path / "cut.img.zst"
    # More chunks than there are in flight: the first one is on the disk before the end is looked at.
    whole = zstd(disk_image(tmp_path / "disk.img", 64 * MIB).read_bytes())
    image.write_bytes(whole[:-1000])
    disk = tmp_path / "disk"
    ran = bty("flash", "--image", image, "--target", f"file:{disk}", "--yes")
    assert (ran.code, ran.out) == (6, "")
    cut = len(whole) - 1000
    assert lines(ran.err)[-3:] == [
        f"bty: cut.img.zst ends in the middle of a zstd frame, after {cut} bytes",
        "     hint: the file is cut short: fetch it again",
        f"     {disk} does not boot now; flash it again",
    ]


def test_6_a_disk_that_differs(tmp_path: Path) -> None:
    image, disk = small_image(tmp_path), tmp_path / "disk"
    data = bytearray(image.read_bytes())
    data[7 * MIB] ^= 1
    disk.write_bytes(data)
    ran = bty("verify", "--image", image, "--target", f"file:{disk}")
    assert (ran.code, ran.out) == (6, "")
    assert lines(ran.err) == [
        f"bty: {disk} differs from small.img at byte {7 * MIB}",
        "     hint: flash it again, unless it was used since: a system that has booted changes its"
        " disk",
    ]


def test_7_no_such_file(tmp_path: Path) -> None:
    ran = bty("inspect", tmp_path / "none.img")
    assert (ran.code, ran.out) == (7, "")
    assert lines(ran.err) == [
        f"bty: there is no file {tmp_path}/none.img",
        "     hint: check the path",
    ]


def test_7_nobody_serves() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        ran = bty("inspect", f"http://{address}/x.img")
    assert (ran.code, ran.out) == (7, "")
    assert lines(ran.err) == [
        f"bty: http://{address}/x.img cannot be read: {address} refused the connection"
        " (6 tries in a row)",
        "     hint: check the address, and that the server runs",
    ]


def test_8_a_write_that_fails(tmp_path: Path) -> None:
    image, disk = small_image(tmp_path), tmp_path / "disk"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MIB, hard))
    try:
        ran = bty("flash", "--image", image, "--target", f"file:{disk}", "--yes")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (ran.code, ran.out) == (8, "")
    assert lines(ran.err)[-3:] == [
        f"bty: writing {disk} at byte {5 * MIB} failed: File too large",
        "     hint: check the disk and the limits of the folder",
        f"     {disk} does not boot now; flash it again",
    ]


def test_130_interrupted_before_anything_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(_: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(host, "find_disk", look)
    ran = bty("flash", "--image", "no.img", "--target", f"file:{tmp_path}/disk", "--yes")
    assert (ran.code, ran.out, ran.err) == (130, "", "bty: interrupted\n     nothing was written\n")


def test_handlers_of_signals_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert bty("completion", "bash").code == Exit.DONE
    assert signal.getsignal(signal.SIGTERM) is before


def test_all_reasons_are_said(broken: dict[str, BaseException]) -> None:
    reasons = [errors.DiskBusy("one", hint="do this"), errors.DiskTooSmall("two\nthree")]
    broken["it"] = errors.Refusals(reasons)
    ran = bty("disks")
    assert (ran.code, ran.out) == (5, "")
    assert lines(ran.err) == [
        "bty: one",
        "     hint: do this",
        "bty: two\N{REPLACEMENT CHARACTER}three",
    ]


def test_every_command_is_declared_and_there() -> None:
    for name in commands_of(build_parser()):
        assert callable(command(name))
