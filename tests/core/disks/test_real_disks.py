"""Disks of this kernel: loop devices with partitions, mounts, swap and other programs on them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bty_core.disks.file_target import file_disk
from bty_core.disks.find import find_disk
from bty_core.disks.guard import objections
from bty_core.disks.lsblk import claimed, read_disk, read_disks
from bty_core.disks.model import Disk, Kind
from bty_core.disks.select import Selector
from bty_core.errors import DiskNotFound, NotADisk

pytestmark = [pytest.mark.root, pytest.mark.loop]
MIB = 1 << 20
LIST = "list the disks: bty disks"
MakeLoop = Callable[..., Path]


@pytest.fixture
def undo() -> Iterator[ExitStack]:
    """What a test did to the machine, taken back in reverse, also when it fails."""
    with ExitStack() as stack:
        yield stack


def call(*argv: str | Path) -> None:
    subprocess.run(argv, check=True, capture_output=True)


def partitioned(disk: Path, undo: ExitStack) -> tuple[Path, Path]:
    """Put two partitions onto `disk` and tell the kernel, which need not know GPT itself."""
    script = b"label: gpt\nsize=4M\nname=data, size=8M\n"
    argv: list[str | Path] = ["sfdisk", "--quiet", "--no-reread", disk]
    subprocess.run(argv, input=script, check=True, capture_output=True)
    first, second = Path(f"{disk}p1"), Path(f"{disk}p2")
    if not first.exists():
        call("partx", "--add", disk)
    undo.callback(call, "partx", "--delete", disk)
    return first, second


def uses(disk: Disk) -> list[tuple[Path, str]]:
    return [(use.device, use.what) for use in disk.uses]


def test_a_free_disk(loop_disk: Path) -> None:
    disk = read_disk(loop_disk)
    number = loop_disk.stat().st_rdev
    assert (disk.path, disk.kind, disk.size) == (loop_disk, Kind.LOOP, 16 * MIB)
    assert disk.device == (os.major(number), os.minor(number))
    assert disk.diskseq == int(Path("/sys/block", loop_disk.name, "diskseq").read_text())
    assert disk.logical_sector in (512, 4096)
    assert disk.logical_sector == int(
        Path("/sys/block", loop_disk.name, "queue/logical_block_size").read_text()
    )
    assert (disk.named_only, disk.virtual, disk.uses) == (True, False, ())
    assert objections(disk) == []
    assert loop_disk in [found.path for found in read_disks()]


def test_partitions_start_where_sfdisk_put_them(loop_disk: Path, undo: ExitStack) -> None:
    first, second = partitioned(loop_disk, undo)
    found = read_disk(loop_disk).partitions
    assert [(p.path, p.number, p.start, p.size) for p in found] == [
        (first, 1, MIB, 4 * MIB),
        (second, 2, 5 * MIB, 8 * MIB),
    ]
    with pytest.raises(NotADisk) as caught:
        read_disk(second)
    assert caught.value.message == f"{second} is a partition of {loop_disk}"
    assert caught.value.hint == f"write {loop_disk} to overwrite the whole disk"


@pytest.mark.parametrize("name", ["plain", "with blank", "line\nbreak", "back\\slash"])
def test_a_mounted_partition(loop_disk: Path, tmp_path: Path, undo: ExitStack, name: str) -> None:
    _, second = partitioned(loop_disk, undo)
    call("mkfs.ext4", "-q", second)
    point = tmp_path / name
    point.mkdir()
    call("mount", second, point)
    undo.callback(call, "umount", point)
    disk = read_disk(loop_disk)
    shown = str(point).replace("\n", "\\n")
    assert uses(disk) == [(second, f"mounted on {shown}")]
    assert [(reason.code, reason.message, reason.hint) for reason in objections(disk)] == [
        (
            "disk-busy",
            f"{loop_disk} is in use: mounted on {shown} ({second})",
            "unmount it, then try again",
        )
    ]


def test_a_disk_that_is_mounted_whole(loop_disk: Path, tmp_path: Path, undo: ExitStack) -> None:
    call("mkfs.ext4", "-q", loop_disk)
    call("mount", loop_disk, tmp_path)
    undo.callback(call, "umount", tmp_path)
    assert uses(read_disk(loop_disk)) == [(loop_disk, f"mounted on {tmp_path}")]


def test_swap(loop_disk: Path, undo: ExitStack) -> None:
    first, _ = partitioned(loop_disk, undo)
    call("mkswap", first)
    call("swapon", first)
    undo.callback(call, "swapoff", first)
    disk = read_disk(loop_disk)
    assert uses(disk) == [(first, "swap")]
    assert [reason.message for reason in objections(disk)] == [
        f"{loop_disk} is in use: swap ({first})"
    ]


def test_a_loop_device_over_a_partition(loop_disk: Path, tmp_path: Path, undo: ExitStack) -> None:
    _, second = partitioned(loop_disk, undo)
    found = subprocess.run(
        ["losetup", "--find", "--show", second], check=True, capture_output=True, text=True
    )
    above = Path(found.stdout.strip())
    undo.callback(call, "losetup", "--detach", above)
    assert uses(read_disk(loop_disk)) == [(above, "loop device")]
    assert read_disk(above).kind is Kind.STACKED
    assert [reason.message for reason in objections(read_disk(above))] == [
        f"{above} is made of other devices and is not a disk of its own"
    ]
    assert above not in [disk.path for disk in read_disks()]
    call("mkfs.ext4", "-q", above)
    call("mount", above, tmp_path)
    undo.callback(call, "umount", tmp_path)
    assert uses(read_disk(loop_disk)) == [
        (above, "loop device"),
        (above, f"mounted on {tmp_path}"),
    ]


def test_a_disk_that_another_program_has_claimed(loop_disk: Path, undo: ExitStack) -> None:
    first, second = partitioned(loop_disk, undo)
    assert not claimed(loop_disk)
    holder = os.open(loop_disk, os.O_RDONLY | os.O_EXCL)
    try:
        assert claimed(loop_disk)
        assert uses(read_disk(loop_disk)) == [(loop_disk, "claimed by another program")]
    finally:
        os.close(holder)
    holder = os.open(second, os.O_RDONLY | os.O_EXCL)
    try:
        assert (claimed(loop_disk), claimed(first), claimed(second)) == (True, False, True)
        assert uses(read_disk(loop_disk)) == [(second, "claimed by another program")]
    finally:
        os.close(holder)
    assert read_disk(loop_disk).uses == ()


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_read_only_disk(make_loop: MakeLoop, sector: int) -> None:
    path = make_loop(4 * MIB, sector=sector, read_only=True)
    disk = read_disk(path)
    assert disk.read_only
    assert [reason.message for reason in objections(disk)] == [f"{path} is read-only"]


def test_a_link_is_followed(loop_disk: Path, tmp_path: Path) -> None:
    link = tmp_path / "loop-by-id"
    link.symlink_to(loop_disk)
    assert read_disk(link).path == loop_disk
    assert find_disk(Selector.parse(str(link))).path == loop_disk
    with pytest.raises(DiskNotFound):
        find_disk(Selector.parse(f"{link},size>=1G"))


def test_the_backing_file_of_a_loop_device_is_in_use(make_loop: MakeLoop) -> None:
    path = make_loop(4 * MIB)
    backing = Path(Path("/sys/block", path.name, "loop/backing_file").read_text().strip())
    disk = find_disk(Selector.parse(f"file:{backing}"))
    assert (disk, disk.size) == (file_disk(backing), 4 * MIB)
    assert uses(disk) == [(path, "backing file of a loop device")]
    assert [(reason.message, reason.hint) for reason in objections(disk)] == [
        (
            f"{backing} is in use: backing file of a loop device ({path})",
            "take down what is stacked on it, then try again",
        )
    ]


def test_a_block_device_is_no_file(loop_disk: Path) -> None:
    with pytest.raises(NotADisk) as caught:
        file_disk(loop_disk)
    assert caught.value.message == f"{loop_disk} is a block device, not a regular file"
    assert caught.value.hint == f"write {loop_disk} without file:"


def test_a_node_without_a_device(tmp_path: Path) -> None:
    node = tmp_path / "sdx"
    os.mknod(node, 0o60600, os.makedev(240, 77))
    with pytest.raises(DiskNotFound) as caught:
        read_disk(node)
    assert (caught.value.message, caught.value.hint) == (f"{node} has no device behind it", LIST)


def test_the_running_system_of_this_machine_is_refused() -> None:
    """Whatever carries this system, no disk that does is free to be written."""
    root = os.stat("/").st_dev
    here = Path(f"/sys/dev/block/{os.major(root)}:{os.minor(root)}")
    if not here.exists():
        pytest.skip("the root filesystem of this machine is on no disk")
    carrying = [
        reason.code
        for disk in read_disks()
        for reason in objections(disk)
        if any(use.running_system and use.what == "mounted on /" for use in disk.uses)
    ]
    assert "running-system" in carrying


def test_an_empty_loop_device() -> None:
    for slot in sorted(Path("/sys/block").glob("loop*"), reverse=True):
        path = Path("/dev", slot.name)
        if (slot / "loop").exists() or not path.exists():
            continue
        try:
            read_disk(path)
        except DiskNotFound as caught:
            said = (caught.message, caught.hint)
        else:
            continue  # taken by another program meanwhile
        assert said == (f"{path} is empty: it has no medium, or no file behind it", LIST)
        return
    pytest.skip("every loop device is taken")
