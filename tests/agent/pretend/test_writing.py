"""A flash of a pretended disk: the real engine, what the disk is pretended to do, and what is on it then."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from bty_agent.exits import Exit
from bty_agent.pretend.host import Pretended
from bty_core import errors
from bty_core.disks.select import Selector
from bty_core.errors import BtyError, Cancelled, Refusals, WriteFailed
from bty_core.events import Event, Started, nowhere
from bty_core.flash.plan import FlashOptions, FlashPlan
from bty_core.images.file import FileSource
from bty_core.images.inspect import inspect
from bty_core.values import MIB
from tests.agent.pretend.machines import machine_file, made, pretended, saved
from tests.agent.running import bty, small_image
from tests.fakes.images import content, zstd

SDA = {"path": "/dev/sda", "size_bytes": 64 * MIB, "serial": "A"}


def plan(host: Pretended, image: Path, target: str = "/dev/sda", **options: bool) -> FlashPlan:
    return FlashPlan(
        image=inspect(FileSource(image)),
        disk=host.find(Selector.parse(target)),
        options=FlashOptions(**options),
    )


def run(host: Pretended, planned: FlashPlan) -> None:
    host.flash(planned, nowhere, threading.Event())


@pytest.mark.parametrize("sector", [512, 4096])
def test_the_image_is_in_the_scratch_file_and_the_disk_holds_it(
    tmp_path: Path, sector: int
) -> None:
    image = tmp_path / "no-table.img.zst"
    data = bytes(4096) + content(7 * MIB + 777)
    image.write_bytes(zstd(data))
    host = made(tmp_path, SDA | {"logical_sector_bytes": sector})
    planned = plan(host, image)
    events: list[Event] = []
    done = host.flash(planned, events.append, threading.Event())
    assert done.verified
    written = host.scratch(planned.disk).read_bytes()
    assert written[: len(data)] == data
    started = events[0]
    assert isinstance(started, Started)
    assert (started.disk, host.scratch(planned.disk).name) == ("/dev/sda", "sda.img")


def test_a_flash_changes_what_the_disk_shows(tmp_path: Path) -> None:
    old = {"size_bytes": MIB, "filesystem": "ntfs", "label": "Windows"}
    host = made(tmp_path, SDA | {"partitions": [old]})
    run(host, plan(host, small_image(tmp_path)))
    (disk,) = host.disks()
    assert disk.table == "gpt"
    assert [str(part.path) for part in disk.partitions] == ["/dev/sda1", "/dev/sda2"]
    assert disk.partitions[0].label is None
    assert (disk.serial, disk.size) == ("A", 64 * MIB)
    # And a later run finds it there.
    assert made(tmp_path, SDA).disks() == [disk]


def test_the_backup_of_the_gpt_moves_to_the_end_of_the_pretended_disk(tmp_path: Path) -> None:
    host = made(tmp_path, SDA)
    planned = plan(host, small_image(tmp_path), fix_gpt=True)
    run(host, planned)
    written = host.scratch(planned.disk).read_bytes()
    assert len(written) == 64 * MIB
    assert written[-512:].startswith(b"EFI PART")


def test_nothing_of_a_large_disk_takes_room(tmp_path: Path) -> None:
    host = pretended("nvme", tmp_path)
    planned = plan(host, small_image(tmp_path), "only")
    run(host, planned)
    assert planned.disk.size == 1000204886016
    assert host.scratch(planned.disk).stat().st_blocks * 512 < 20 * MIB


def test_an_image_of_unknown_size_must_fit_too(tmp_path: Path) -> None:
    image = tmp_path / "long.img.zst"
    image.write_bytes(zstd(bytes(4096) + content(3 * MIB), "--no-content-size"))
    host = made(tmp_path, SDA | {"size_bytes": 2 * MIB})
    with pytest.raises(BtyError) as failure:
        run(host, plan(host, image))
    assert "holds more than the 2097152 bytes (2.10 MB) of /dev/sda" in failure.value.message
    assert failure.value.aftermath == "/dev/sda does not boot now; flash it again"


def test_refusals_are_those_of_the_pretended_disk(tmp_path: Path) -> None:
    host = made(tmp_path, SDA | {"uses": [{"what": "mounted on /srv"}], "read_only": True})
    with pytest.raises(Refusals) as failure:
        run(host, plan(host, small_image(tmp_path)))
    assert [one.code for one in failure.value.reasons] == ["disk-busy", "disk-read-only"]
    assert failure.value.aftermath == "nothing was written to /dev/sda"
    assert list(tmp_path.glob("sda*")) == []


def test_a_disk_that_breaks_does_not_boot(tmp_path: Path) -> None:
    host = pretended("trouble", tmp_path)
    with pytest.raises(WriteFailed) as failure:
        run(host, plan(host, small_image(tmp_path), "serial:TRY-0002"))
    assert failure.value.message == ("writing /dev/sdb at byte 4194304 failed: Input/output error")
    assert "look at the kernel log and its SMART data" in (failure.value.hint or "")
    assert failure.value.aftermath == "/dev/sdb does not boot now; flash it again"
    disk = host.find(Selector.parse("/dev/sdb"))
    assert (disk.table, disk.partitions) == (None, ())
    assert not any(host.scratch(disk).read_bytes()[:MIB])


def test_a_disk_that_is_pulled_out_is_gone(tmp_path: Path) -> None:
    host = pretended("trouble", tmp_path)
    with pytest.raises(WriteFailed) as failure:
        run(host, plan(host, small_image(tmp_path), "/dev/sdc"))
    assert failure.value.message.startswith("writing /dev/sdc at byte ")
    assert failure.value.message.endswith("failed: the disk is gone")
    # The first MiB was wiped before: that is known.
    assert failure.value.aftermath == "/dev/sdc does not boot now; flash it again"
    assert "sdc" not in [disk.path.name for disk in host.disks()]
    with pytest.raises(errors.DiskNotFound):
        host.find(Selector.parse("/dev/sdc"))


def test_a_disk_that_goes_between_the_choice_and_the_write(tmp_path: Path) -> None:
    host = pretended("trouble", tmp_path)
    planned = plan(host, small_image(tmp_path), "/dev/sdd")
    with pytest.raises(errors.DiskNotFound) as failure:
        run(host, planned)
    assert failure.value.message == "there is no /dev/sdd"
    assert failure.value.aftermath == "nothing was written to /dev/sdd"
    assert list(tmp_path.glob("sdd*")) == []


def test_a_slow_disk_takes_its_time_and_can_be_stopped(tmp_path: Path) -> None:
    host = made(tmp_path, SDA | {"bytes_per_second": 4 * MIB})
    image = tmp_path / "dense.img"
    image.write_bytes(bytes(4096) + content(1, seed=2) * (16 * MIB))
    planned, cancel = plan(host, image), threading.Event()
    threading.Timer(0.5, cancel.set).start()
    start = time.monotonic()
    with pytest.raises(Cancelled) as failure:
        host.flash(planned, nowhere, cancel)
    assert 0.4 < time.monotonic() - start < 4.0
    assert failure.value.aftermath == "/dev/sda does not boot now; flash it again"


def test_what_a_disk_holds_is_no_image_for_it(tmp_path: Path) -> None:
    host = made(tmp_path, SDA)
    planned = plan(host, small_image(tmp_path))
    run(host, planned)
    held = host.scratch(planned.disk)
    before = held.read_bytes()
    with pytest.raises(Refusals) as failure:
        run(host, plan(host, held))
    assert failure.value.code == "image-is-target"
    assert held.read_bytes() == before


def test_the_next_boot_needs_uefi_and_a_loader(tmp_path: Path) -> None:
    host = made(tmp_path, SDA)
    run(host, plan(host, small_image(tmp_path)))
    (disk,) = host.disks()
    said = host.boot_once(disk, "small.img")
    assert said.startswith("the next boot starts /dev/sda (\\EFI\\")
    bios = made(tmp_path, SDA, firmware="bios")
    with pytest.raises(errors.Refused) as failure:
        bios.boot_once(disk, "small.img")
    assert failure.value.code == "no-boot-entry"


def test_the_command_flashes_a_pretended_disk(tmp_path: Path) -> None:
    image, scratch = small_image(tmp_path), tmp_path / "scratch"
    pretend = ("--pretend", machine_file("nvme"), "--scratch", scratch)
    named = ("--image", image, "--target", "model:980")
    ran = bty("flash", *named, *pretend, "--yes", "--progress", "ndjson", "--uefi-entry", width=300)
    assert ran.code == Exit.DONE, ran.err
    assert f"this machine is pretended: Intel NUC 11; its disks are files in {scratch}" in ran.err
    assert "the next boot starts /dev/nvme0n1 (" in ran.err
    assert {one["disk"] for one in ran.events if one["event"] == "started"} == {"/dev/nvme0n1"}
    written = (scratch / "nvme0n1.img").read_bytes()
    assert written[: image.stat().st_size] == image.read_bytes()
    # The disk keeps it while the folder is kept.
    shown = json.loads(bty("disks", *pretend, "--json").out)["disks"][0]
    assert [part["filesystem"] for part in shown["partitions"]] == [None, None]


def test_without_root_nothing_is_written(tmp_path: Path) -> None:
    machine, scratch = saved(tmp_path, SDA, root=False), tmp_path / "scratch"
    named = ("--image", small_image(tmp_path), "--target", "only")
    ran = bty("flash", *named, "--pretend", machine, "--scratch", scratch, "--yes")
    assert ran.code == Exit.NEEDS_ROOT
    assert list(scratch.iterdir()) == []


def test_scratch_files_go_with_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.agent.pretend.programs import program

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    image = small_image(tmp_path)
    before = {*tmp_path.iterdir()}
    named = ("--image", image, "--target", "only", "--pretend", machine_file("nvme"))
    ran = program("flash", *named, "--yes", "--progress", "none")
    assert (ran.returncode, "removed at the end" in ran.stderr) == (Exit.DONE, True), ran.stderr
    assert {*tmp_path.iterdir()} == before
