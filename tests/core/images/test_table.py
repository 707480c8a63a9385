"""Partition tables inside images, as sfdisk makes them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bty_core.errors import ImageCorrupt
from bty_core.images.inspect import refuse_cut_short
from bty_core.images.table import ESP, TABLE_BYTES, TableKind, read_table
from tests.fakes.images import MIB, disk_image


def sfdisk(path: Path, script: str, size: int = 24 * MIB) -> bytes:
    with path.open("wb") as file:
        file.truncate(size)
    subprocess.run(
        ["sfdisk", "--quiet", str(path)], input=script.encode(), check=True, capture_output=True
    )
    return path.read_bytes()


def test_a_gpt_is_read(tmp_path: Path) -> None:
    head = disk_image(tmp_path / "disk.img").read_bytes()[:TABLE_BYTES]
    table = read_table(head)
    assert table is not None
    assert (table.kind, table.sector_size, table.backup_at) == (TableKind.GPT, 512, 24 * MIB - 512)
    assert [(part.number, part.start, part.name) for part in table.partitions] == [
        (1, MIB, "ESP"),
        (2, 5 * MIB, "root"),
    ]
    assert (table.partitions[0].size, table.partitions[0].type) == (4 * MIB, ESP)
    assert (table.boots_uefi, table.boots_bios) == (True, False)


def test_a_dos_table_is_read(tmp_path: Path) -> None:
    data = sfdisk(
        tmp_path / "d",
        "label: dos\nstart=1MiB, size=4MiB, type=ef\nstart=5MiB, type=83, bootable\n",
    )
    table = read_table(b"\xfa\x33\xc0" + data[3:TABLE_BYTES])
    assert table is not None
    assert (table.kind, table.sector_size, table.backup_at) == (TableKind.DOS, 512, None)
    assert [(part.start, part.size, part.type) for part in table.partitions] == [
        (MIB, 4 * MIB, "0xef"),
        (5 * MIB, 19 * MIB, "0x83"),
    ]
    assert (table.boots_uefi, table.boots_bios) == (True, True)


def test_a_gpt_for_large_sectors_is_told_apart(tmp_path: Path) -> None:
    data = disk_image(tmp_path / "disk.img").read_bytes()
    head = bytearray(TABLE_BYTES)
    head[:512] = data[:512]
    head[4096:4608] = data[512:1024]
    table = read_table(bytes(head))
    assert table is not None
    assert table.sector_size == 4096


@pytest.mark.parametrize("make", ["mkfs.vfat", "mkfs.ext4"])
def test_a_file_system_without_a_table_is_none(tmp_path: Path, make: str) -> None:
    path = tmp_path / "fs"
    with path.open("wb") as file:
        file.truncate(16 * MIB)
    subprocess.run([make, str(path)], check=True, capture_output=True)
    assert read_table(path.read_bytes()[:TABLE_BYTES]) is None


@pytest.mark.parametrize("head", [b"", bytes(511), bytes(TABLE_BYTES), b"\x55\xaa" * 300])
def test_no_table_is_none(head: bytes) -> None:
    assert read_table(head) is None


def test_an_image_shorter_than_its_partitions_is_cut_short(tmp_path: Path) -> None:
    table = read_table(disk_image(tmp_path / "disk.img").read_bytes()[:TABLE_BYTES])
    assert table is not None
    refuse_cut_short(table, table.end, "disk.img")
    with pytest.raises(ImageCorrupt) as caught:
        refuse_cut_short(table, table.end - 1, "disk.img")
    assert caught.value.message == (
        f"disk.img is cut short: it has {table.end - 1} bytes, and its partitions reach to byte {table.end}"
    )


def test_a_dos_table_may_end_with_the_cylinder(tmp_path: Path) -> None:
    data = sfdisk(tmp_path / "d", "label: dos\nstart=1MiB, type=83\n")
    table = read_table(data[:TABLE_BYTES])
    refuse_cut_short(table, 24 * MIB - 255 * 63 * 512, "disk.img")
    with pytest.raises(ImageCorrupt):
        refuse_cut_short(table, 24 * MIB - 255 * 63 * 512 - 1, "disk.img")
