"""The partition for images on loop devices that hold what a shipped stick holds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bty_core.errors import CommandFailed, WriteFailed
from bty_core.proc import run
from bty_core.stick import prepare as doing
from bty_core.stick.errors import NotAStick, StickOccupied
from bty_core.stick.layout import IMAGES_NAME, layout_of, read_layout
from bty_core.stick.prepare import prepare
from tests.conftest import MIB, MakeLoop

SIZE = 256 * MIB
IMAGE = 39 * MIB
TABLE = """\
label: gpt
start=2048, size=2048, name="bty-bios"
start=4096, size=16384, name="BTY_BOOT"
start=20480, size=57344, name="bty-live"
"""


def write_image(disk: Path, folder: Path) -> None:
    """Write what a plain `dd` leaves: a GPT for a small disk, its backup in the middle of this one."""
    image = folder / "shipped.img"
    with image.open("wb") as file:
        file.truncate(IMAGE)
    run(["sfdisk", "--quiet", image], timeout=60, stdin=TABLE.encode())
    with image.open("rb") as source, disk.open("r+b") as target:
        shutil.copyfileobj(source, target)


@pytest.fixture
def stick(make_loop: MakeLoop, tmp_path: Path) -> Iterator[Path]:
    """A stick with the image on it, and 0xFF behind."""
    disk = make_loop(SIZE)
    write_image(disk, tmp_path)
    yield disk
    forget_partitions(disk)


def forget_partitions(disk: Path) -> None:
    """Let the kernel know none of the disk's partitions, as after pulling it out."""
    for known in Path("/sys/class/block").glob(f"{disk.name}p*"):
        run(["delpart", disk, known.name.rpartition("p")[2]], timeout=60)


def content(partition: Path) -> bytes:
    return partition.read_bytes()


@pytest.mark.root
@pytest.mark.loop
class TestPrepare:
    def test_a_stick_fresh_from_dd_gets_the_rest_of_the_disk(self, stick: Path) -> None:
        found = prepare(stick)
        assert (found.made_partition, found.made_filesystem) == (True, True)
        assert found.partition == Path(f"{stick}p4")
        # 39 MiB of image, and less than two at the end for the backup of the table.
        assert found.size in range(SIZE - IMAGE - 2 * MIB, SIZE - IMAGE)
        said = run(["blkid", "--probe", "--output", "export", found.partition], timeout=60)
        assert "TYPE=exfat" in said
        assert "LABEL=BTY_IMAGES" in said
        assert "PART_ENTRY_TYPE=ebd0a0a2-b9e5-4433-87c0-68b6b72699c7" in said
        assert "clean" in run(["fsck.exfat", "-n", found.partition], timeout=60)
        # The table is whole again: its backup is at the real end of the disk.
        assert "No problems found" in run(["sgdisk", "--verify", stick], timeout=60)

    def test_doing_it_again_changes_not_one_byte(self, stick: Path) -> None:
        prepare(stick)
        before = stick.read_bytes()
        again = prepare(stick)
        assert (again.made_partition, again.made_filesystem) == (False, False)
        assert stick.read_bytes() == before

    def test_images_survive_writing_the_stick_anew(self, stick: Path, tmp_path: Path) -> None:
        found = prepare(stick)
        marked = content(found.partition)[:-4096] + b"an image".ljust(4096)
        found.partition.write_bytes(marked)
        forget_partitions(stick)
        write_image(stick, tmp_path)
        again = prepare(stick)
        assert (again.made_partition, again.made_filesystem) == (True, False)
        assert content(again.partition) == marked

    @pytest.mark.parametrize("step", ["_make_partition", "_show_partition", "_make_filesystem"])
    def test_a_power_cut_before_any_step_is_mended_at_the_next_start(
        self, stick: Path, step: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def cut(*_given: object) -> None:
            raise PowerCut

        with monkeypatch.context() as patched:
            patched.setattr(doing, step, cut)
            with pytest.raises(PowerCut):
                prepare(stick)
        forget_partitions(stick)
        assert prepare(stick).made_filesystem
        assert "clean" in run(["fsck.exfat", "-n", f"{stick}p4"], timeout=60)

    def test_a_power_cut_in_the_middle_of_the_filesystem_leaves_none(
        self, stick: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        copied: list[int] = []
        copy = doing._copy

        def cut(source: int, target: int, start: int, end: int) -> None:
            if start == 0:
                raise PowerCut
            copied.append(start)
            copy(source, target, start, end)

        with monkeypatch.context() as patched:
            patched.setattr(doing, "_copy", cut)
            with pytest.raises(PowerCut):
                prepare(stick)
        assert copied
        assert prepare(stick).made_filesystem

    @pytest.mark.parametrize("kind", ["ext4", "vfat"])
    def test_what_somebody_else_put_there_is_left_alone(self, stick: Path, kind: str) -> None:
        partition = prepare(stick).partition
        run([f"mkfs.{kind}", partition], timeout=60)
        before = content(partition)
        with pytest.raises(StickOccupied, match=f"holds {kind}, and is left alone"):
            prepare(stick)
        assert content(partition) == before

    def test_bytes_that_are_no_filesystem_are_left_alone(self, stick: Path) -> None:
        partition = prepare(stick).partition
        with partition.open("r+b") as file:
            file.write(b"\x01" * MIB)
        with pytest.raises(StickOccupied, match="data that is no filesystem"):
            prepare(stick)

    def test_a_disk_that_is_no_stick_is_refused_untouched(self, make_loop: MakeLoop) -> None:
        disk = make_loop(SIZE)
        before = disk.read_bytes()
        with pytest.raises(NotAStick):
            prepare(disk)
        run(["sfdisk", "--quiet", disk], timeout=60, stdin=b"label: gpt\nsize=2048, name=other\n")
        with pytest.raises(NotAStick, match="no partition 'bty-live'"):
            prepare(disk)
        assert disk.read_bytes()[3 * MIB : -3 * MIB] == before[3 * MIB : -3 * MIB]

    def test_a_stick_without_room_says_what_it_lacks(
        self, make_loop: MakeLoop, tmp_path: Path
    ) -> None:
        disk = make_loop(IMAGE + 64 * MIB)
        write_image(disk, tmp_path)
        with pytest.raises(NotAStick, match="no room for images"):
            prepare(disk)

    def test_a_layout_is_read_from_the_disk(self, stick: Path) -> None:
        layout = read_layout(stick, SIZE)
        assert (layout.number, layout.offset, layout.made) == (4, IMAGE, False)


class PowerCut(BaseException):
    """Nothing catches this, as nothing catches a power cut."""


def entry(node: str, start: int, size: int, name: str) -> dict[str, object]:
    return {"node": node, "start": start, "size": size, "name": name}


def test_a_disk_with_large_sectors_is_counted_in_them() -> None:
    partitions = [entry("/dev/nvme0n1p3", 2560, 7168, "bty-live")]
    table = {"label": "gpt", "sectorsize": 4096, "partitions": partitions}
    layout = layout_of(Path("/dev/nvme0n1"), table, SIZE)
    assert layout.node == Path("/dev/nvme0n1p4")
    assert layout.offset == 39 * MIB
    assert layout.offset + layout.size <= SIZE - 33 * 4096
    made = {**table, "partitions": [*partitions, entry("/dev/nvme0n1p9", 9984, 256, IMAGES_NAME)]}
    assert layout_of(Path("/dev/nvme0n1"), made, SIZE) == replace(
        layout, number=9, area=replace(layout.area, sectors=256), made=True
    )


@pytest.mark.parametrize("table", [{}, {"label": "dos", "partitions": []}, {"label": "gpt"}])
def test_a_table_that_is_no_gpt_is_no_stick(table: dict[str, object]) -> None:
    with pytest.raises(NotAStick):
        layout_of(Path("/dev/sda"), table, SIZE)


@pytest.mark.root
@pytest.mark.loop
def test_a_stick_that_fails_says_so(stick: Path) -> None:
    run(["blockdev", "--setro", stick], timeout=60)
    try:
        with pytest.raises((CommandFailed, WriteFailed)):
            prepare(stick)
    finally:
        run(["blockdev", "--setrw", stick], timeout=60)
