"""Flashes that bty will not begin, or ends at the door of the disk: nothing is lost, nothing boots by half."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bty_core.errors import (
    BtyError,
    DiskBusy,
    DiskChanged,
    DiskTooSmall,
    ImageIsTarget,
    ImageRefused,
    Refusals,
    SectorSizeMismatch,
    WriteFailed,
)
from bty_core.flash.engine import flash
from bty_core.flash.target import Target
from tests.conftest import MakeLoop
from tests.core.flash.planning import is_dead, plan, run
from tests.fakes.images import MIB, STREAMS, content, disk_image, zstd
from tests.loops import attach, detach

pytestmark = [pytest.mark.root, pytest.mark.loop]

DATA = content(11 * MIB + 12_345, seed=7)


@pytest.mark.parametrize("kind", ["raw", "xz", "zstd"])
def test_one_byte_too_many_is_found_before_the_first_write(
    kind: str, partitioned: Path, tmp_path: Path
) -> None:
    image = tmp_path / "disk.img"
    data = content(16 * MIB + 1)
    options = [f"--stream-size={len(data)}"] if kind == "zstd" else []
    image.write_bytes(zstd(data, *options) if options else STREAMS[kind][1](data))
    before = partitioned.read_bytes()
    with pytest.raises(Refusals) as caught:
        run(image, partitioned)
    assert isinstance(caught.value.reasons[0], DiskTooSmall)
    assert caught.value.message == (
        f"{partitioned} has 16777216 bytes (16.8 MB), 1 too few for disk.img"
    )
    assert partitioned.read_bytes() == before


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "zstd"])
def test_one_byte_too_many_is_found_at_the_door(
    kind: str, partitioned: Path, tmp_path: Path
) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(STREAMS[kind][1](content(16 * MIB + 1)))
    with pytest.raises(WriteFailed) as caught:
        run(image, partitioned)
    assert caught.value.message == (
        f"disk.img holds more than the 16777216 bytes (16.8 MB) of {partitioned}"
    )
    assert caught.value.aftermath == f"{partitioned} does not boot now; flash it again"
    assert is_dead(partitioned)


def test_an_archive_inside_a_stream_never_reaches_the_disk(
    partitioned: Path, tmp_path: Path
) -> None:
    image = tmp_path / "disk.img.gz"
    image.write_bytes(STREAMS["gzip"][1](b"PK\3\4" + bytes(5000)))
    before = partitioned.read_bytes()
    with pytest.raises(ImageRefused) as caught:
        run(image, partitioned)
    assert (
        caught.value.message == "the gzip stream in disk.img.gz is a zip archive, not a disk image"
    )
    assert partitioned.read_bytes() == before


def test_a_second_flash_of_the_same_disk_is_refused(loop_disk: Path, tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(DATA)
    planned = plan(image, loop_disk)
    with Target(planned.disk), pytest.raises((DiskBusy, Refusals)):
        flash(planned)


def test_a_disk_that_was_replaced_after_the_plan_is_refused(
    make_loop: MakeLoop, tmp_path: Path
) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(DATA)
    disk = make_loop(16 * MIB)
    planned = plan(image, disk)
    assert planned.disk.diskseq is not None
    earlier = planned.onto(replace(planned.disk, diskseq=planned.disk.diskseq - 1))
    with pytest.raises(DiskChanged, match="is not the disk of the plan: its attachment is"):
        flash(earlier)
    assert set(disk.read_bytes()) == {0xFF}


def test_a_disk_that_shrank_after_the_plan_is_refused(make_loop: MakeLoop, tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(DATA)
    disk = make_loop(16 * MIB)
    planned = plan(image, disk)
    with (tmp_path / "loop-0.img").open("r+b") as file:
        file.truncate(8 * MIB)
    subprocess.run(["losetup", "--set-capacity", disk], check=True)
    with pytest.raises(BtyError):
        flash(planned)
    assert set(disk.read_bytes()) == {0xFF}


def test_a_disk_that_vanished_after_the_plan_is_refused(tmp_path: Path) -> None:
    image, backing = tmp_path / "disk.img", tmp_path / "backing"
    image.write_bytes(DATA)
    backing.write_bytes(bytes(16 * MIB))
    disk = attach(backing)
    try:
        planned = plan(image, disk)
    finally:
        detach(disk)
    with pytest.raises(BtyError):
        flash(planned)
    assert not any(backing.read_bytes())


def test_the_image_is_never_its_own_target(make_loop: MakeLoop, tmp_path: Path) -> None:
    disk = make_loop(16 * MIB)
    image = tmp_path / "loop-0.img"
    link = tmp_path / "other name.img"
    os.link(image, link)
    for source in (image, link):
        with pytest.raises(Refusals) as caught:
            run(source, disk)
        assert isinstance(caught.value.reasons[-1], ImageIsTarget)
        assert caught.value.reasons[-1].message == (
            f"{disk} is the image itself, and would be erased before it is read"
        )
    alone = tmp_path / "alone.img"
    alone.write_bytes(DATA)
    with pytest.raises(Refusals) as caught:
        run(alone, f"file:{alone}")
    assert (
        caught.value.message
        == f"{alone} is the image itself, and would be erased before it is read"
    )
    assert alone.read_bytes() == DATA


def test_a_table_for_other_sectors_is_refused(make_loop: MakeLoop, tmp_path: Path) -> None:
    disk = make_loop(32 * MIB, sector=4096)
    image = disk_image(tmp_path / "disk.img")
    with pytest.raises(Refusals) as caught:
        run(image, disk)
    assert isinstance(caught.value.reasons[0], SectorSizeMismatch)
    assert caught.value.message == (
        f"the partition table of disk.img is made for sectors of 512 bytes, {disk} has sectors of 4096"
    )
    assert set(disk.read_bytes()) == {0xFF}
