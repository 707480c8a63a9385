"""`bty flash --provision` on loop devices, with the real cijoe."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bty_agent.exits import Exit
from tests.agent.running import Ran, bty
from tests.conftest import MIB, MakeLoop
from tests.core.provisioning.disks import CLOUD, inside, left_behind, make_image

pytestmark = [pytest.mark.root, pytest.mark.loop]
SECRET = "correct-horse-battery"
WORKFLOW = """\
doc: |
  A workflow for a disk.
steps:
- name: place
  run: |
    echo $BTY_DISK $BTY_IMAGE >$BTY_ROOTFS/placed
    ln -s /etc/passwd $BTY_ROOTFS/link
- name: second
  run: |
    {second}
- name: third
  run: |
    touch $BTY_ROOTFS/third
"""
SEEDED = "var/lib/cloud/seed/nocloud-net"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return make_image(tmp_path / "small.img", script=f"{CLOUD}; touch etc/os-release")


@pytest.fixture
def disk(make_loop: MakeLoop) -> Path:
    return make_loop(80 * MIB, blank=True)


def workflow(folder: Path, second: str) -> Path:
    path = folder / "workflow.yaml"
    path.write_text(WORKFLOW.format(second=second))
    return path


def flash(image: Path, disk: Path, *options: str | Path) -> Ran:
    return bty("flash", "--image", image, "--target", disk, "--yes", *options)


def with_cijoe(folder: Path, second: str) -> list[str | Path]:
    return [
        *("--provision", "cijoe", "--cijoe-workflow", workflow(folder, second)),
        *("--cijoe-output", folder / "reports"),
    ]


def seeded(folder: Path) -> list[str | Path]:
    path = folder / "user-data"
    path.write_text(f"#cloud-config\npassword: {SECRET}\n")
    return ["--provision", "cloud-init", "--user-data", path]


def test_a_seed(image: Path, disk: Path, tmp_path: Path) -> None:
    ran = flash(image, disk, *seeded(tmp_path), "--progress", "ndjson")
    assert ran.code == Exit.DONE
    kinds = [event["event"] for event in ran.events]
    assert kinds[-1] == "done"
    assert kinds.index("synced") < kinds.index("provisioning") < kinds.index("done")
    told = [event for event in ran.events if event["event"] == "provisioning"]
    assert {event["mode"] for event in told} == {"cloud-init"}
    assert f"writing the seed for cloud-init into {disk}p1 (ext4)" in [e["doing"] for e in told]
    assert f"the seed for cloud-init is in /{SEEDED} of {disk}p1 (ext4)" in ran.err
    assert SECRET in inside(disk, f"cat {SEEDED}/user-data")
    assert SECRET not in ran.out + ran.err


def test_a_seed_in_words(image: Path, disk: Path, tmp_path: Path) -> None:
    ran = flash(image, disk, *seeded(tmp_path), "--progress", "text")
    assert ran.code == Exit.DONE
    assert "bty: cloud-init: looking for the filesystem that has cloud-init\n" in ran.err
    assert SECRET not in ran.out + ran.err


def test_a_seed_without_a_place_is_9_and_the_image_is_on_the_disk(
    make_loop: MakeLoop, tmp_path: Path
) -> None:
    image = make_image(tmp_path / "bare.img", script="mkdir etc")
    disk = make_loop(image.stat().st_size, blank=True)
    ran = flash(image, disk, *seeded(tmp_path), "--progress", "ndjson")
    assert ran.code == Exit.PROVISIONING_FAILED
    assert [event["event"] for event in ran.events][-1] == "failed"
    assert "done" not in [event["event"] for event in ran.events]
    assert ran.events[-1]["code"] == "seed-not-placed"
    assert f"the image is on {disk}, but it is not provisioned; flash it again" in ran.err
    assert disk.read_bytes() == image.read_bytes()
    assert SECRET not in ran.out + ran.err


def test_a_workflow_works_on_the_root_filesystem(image: Path, disk: Path, tmp_path: Path) -> None:
    ran = flash(image, disk, *with_cijoe(tmp_path, "sleep 1"), "--progress", "ndjson")
    assert ran.code == Exit.DONE, ran.err
    assert inside(disk, "cat placed; ls third") == f"{disk} small.img\nthird\n"
    steps = [(e["step"], e["steps"], e["doing"]) for e in ran.events if e.get("step")]
    assert (2, 3, "step second") in steps
    (report,) = (tmp_path / "reports").iterdir()
    assert (report / "output/report.html").is_file()
    assert str(report) in ran.err
    assert report.stat().st_mode & 0o777 == 0o700
    assert left_behind(disk) == []


def test_a_workflow_that_fails_is_9_and_names_the_step(
    image: Path, disk: Path, tmp_path: Path
) -> None:
    ran = flash(image, disk, *with_cijoe(tmp_path, f"echo {SECRET} && false"))
    assert ran.code == Exit.PROVISIONING_FAILED
    (report,) = (tmp_path / "reports").iterdir()
    said = " ".join(ran.err.split())
    assert "bty: step 2 of 3, 'second', of the workflow workflow.yaml failed" in said
    assert f"its output is in {report}/output/002_second" in said
    assert SECRET not in ran.out + ran.err
    assert (report / "output/report.html").is_file()
    # The steps before it have worked, the one behind it was not begun.
    assert inside(disk, "ls -d placed third || true").split() == ["placed"]
    assert left_behind(disk) == []


def test_a_configuration_has_the_last_word(image: Path, disk: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[cijoe.task]\nfail_fast = false\n")
    ran = flash(image, disk, *with_cijoe(tmp_path, "false"), "--cijoe-config", config)
    assert ran.code == Exit.PROVISIONING_FAILED
    assert inside(disk, "ls -d placed third").split() == ["placed", "third"]


def test_a_workflow_that_takes_too_long(image: Path, disk: Path, tmp_path: Path) -> None:
    # The second child leaves its process group and keeps the filesystem busy.
    second = "setsid sh -c 'cd $BTY_ROOTFS; sleep 600' & sleep 600"
    ran = flash(image, disk, *with_cijoe(tmp_path, second), "--cijoe-timeout", "6")
    assert ran.code == Exit.PROVISIONING_FAILED
    said = " ".join(ran.err.split())
    assert (
        "the workflow workflow.yaml did not end within 6 s; it was at step 2 of 3, 'second'" in said
    )
    assert left_behind(disk) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps: [\n", "is not valid YAML at line 2, column 1"),
        ("doc: x\n", "has no steps"),
        ("steps:\n- name: a\n  run: x\n", "Missing required top-level key: 'doc'"),
        ("doc: x\nsteps:\n- name: a\n  uses: core.nothing\n", "core.nothing"),
    ],
)
def test_a_bad_workflow_is_refused_before_anything_is_written(
    image: Path, disk: Path, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "workflow.yaml"
    path.write_text(text)
    ran = flash(image, disk, "--provision", "cijoe", "--cijoe-workflow", path)
    assert ran.code == Exit.REFUSED
    assert said in " ".join(ran.err.split())
    assert not any(disk.read_bytes())


def test_a_missing_workflow_is_refused(image: Path, disk: Path, tmp_path: Path) -> None:
    ran = flash(image, disk, "--provision", "cijoe", "--cijoe-workflow", tmp_path / "no.yaml")
    assert ran.code == Exit.REFUSED
    assert f"the workflow {tmp_path / 'no.yaml'} is not there" in " ".join(ran.err.split())
    assert not any(disk.read_bytes())


def test_a_configuration_that_is_no_toml_is_not_quoted(
    image: Path, disk: Path, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"password = {SECRET}\n")
    ran = flash(image, disk, *with_cijoe(tmp_path, "true"), "--cijoe-config", config)
    assert ran.code == Exit.REFUSED
    assert "is not valid TOML" in " ".join(ran.err.split())
    assert SECRET not in ran.err


def test_without_cijoe_nothing_is_written(
    image: Path, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    ran = flash(image, disk, *with_cijoe(tmp_path, "true"))
    assert ran.code == Exit.PROGRAM_MISSING
    assert "install it beside bty: pip install 'bty-agent[cijoe]'" in " ".join(ran.err.split())
    assert not any(disk.read_bytes())


@contextmanager
def running(image: Path, disk: Path, *options: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Run the program in a process of its own until the block is left."""
    words = [sys.executable, "-m", "bty_agent", "flash", "--yes", "--progress", "ndjson"]
    words += ["--image", str(image), "--target", str(disk), *map(str, options)]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_step(process: subprocess.Popen[str], name: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("doing") == f"step {name}":
            return
    assert process.stderr is not None
    raise AssertionError(process.stderr.read())


def children_of(mark: str) -> list[int]:
    """Return the processes whose command line has `mark`."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                if mark in (folder / "cmdline").read_text():
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


def gone(disk: Path, mark: str) -> bool:
    """Whether within a few seconds nothing is left of a run."""
    for _ in range(50):
        if not (left_behind(disk) or children_of(mark)):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_a_workflow(
    image: Path, disk: Path, tmp_path: Path, how: signal.Signals
) -> None:
    mark = f"sleep {600 + os.getpid()}"
    second = f"setsid {mark} & {mark}"
    with running(image, disk, *with_cijoe(tmp_path, second)) as process:
        wait_for_step(process, "second")
        began = time.monotonic()
        process.send_signal(how)
        out, err = process.communicate(timeout=30)
    assert process.returncode == Exit.INTERRUPTED
    assert time.monotonic() - began < 10
    assert json.loads(out.splitlines()[-1])["code"] == "cancelled"
    assert "bty: interrupted\n" in err
    assert f"the image is on {disk}, but it is not provisioned; flash it again" in err
    assert gone(disk, mark.replace(" ", "\0"))
    assert inside(disk, "ls placed") == "placed\n"


def test_killed_in_a_workflow_nothing_is_left_mounted_or_running(
    image: Path, disk: Path, tmp_path: Path
) -> None:
    mark = f"sleep {700 + os.getpid()}"
    with running(image, disk, *with_cijoe(tmp_path, f"setsid {mark} & {mark}")) as process:
        wait_for_step(process, "second")
        assert left_behind(disk) != []
        assert children_of(mark.replace(" ", "\0")) != []
        process.kill()
        process.communicate()
    assert gone(disk, mark.replace(" ", "\0"))
    # The disk can be flashed again at once.
    assert flash(image, disk, *with_cijoe(tmp_path, "true")).code == Exit.DONE
