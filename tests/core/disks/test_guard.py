"""Why a disk must not be written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bty_core.disks.guard import objections
from bty_core.disks.lsblk import parse
from bty_core.disks.model import Disk, Kind, Use
from bty_core.disks.sysfs import KernelFacts

DATA = Path(__file__).parents[2] / "data" / "lsblk"
OTHER = "choose another disk; bty disks lists them"


def disks(name: str) -> dict[str, Disk]:
    found = parse((DATA / f"{name}.json").read_text(), facts=KernelFacts())
    return {disk.path.name: disk for disk in found}


def said(disk: Disk) -> list[tuple[str, str, str | None]]:
    return [(reason.code, reason.message, reason.hint) for reason in objections(disk)]


def test_a_free_disk_has_no_objections() -> None:
    assert said(disks("sas-raid")["sdb"]) == []
    assert said(disks("usb-live")["sdb"]) == []


def test_the_disk_of_the_running_system() -> None:
    assert said(disks("nvme-root")["nvme0n1"]) == [
        (
            "running-system",
            "/dev/nvme0n1 (Samsung SSD 980 PRO 1TB, serial S5GXNX0R123456) carries the running "
            "system or the live medium: mounted on /boot/efi (/dev/nvme0n1p1), "
            "mounted on / (/dev/nvme0n1p2), mounted on /var/snap/host root (/dev/nvme0n1p2)",
            "choose another disk, or start the machine from another medium",
        ),
        (
            "disk-busy",
            "/dev/nvme0n1 (Samsung SSD 980 PRO 1TB, serial S5GXNX0R123456) is in use: "
            "swap (/dev/nvme0n1p3)",
            "swap it off, then try again",
        ),
    ]


def test_a_stack_is_listed_whole() -> None:
    assert said(disks("multipath")["sda"]) == [
        (
            "disk-busy",
            "/dev/sda (LUN C-Mode, serial 80A0D+MnTx3k) is in use: "
            "multipath device mpatha (/dev/mapper/mpatha), "
            "device-mapper device mpatha-part1 (/dev/mapper/mpatha-part1), "
            "mounted on /srv (/dev/mapper/mpatha-part1)",
            "unmount it, take down what is stacked on it, then try again",
        )
    ]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    disk = replace(
        disks("no-serial")["sda"],
        read_only=True,
        size=0,
        uses=(Use(device=Path("/dev/sda"), what="claimed by another program"),),
    )
    assert said(disk) == [
        (
            "disk-busy",
            "/dev/sda (SATA SSD) is in use: claimed by another program",
            "end the program or the filesystem that holds it (ZFS, btrfs or another flasher)",
        ),
        (
            "disk-read-only",
            "/dev/sda (SATA SSD) is read-only",
            "look for a write-protect switch, or try: blockdev --setrw /dev/sda",
        ),
        (
            "disk-too-small",
            "/dev/sda (SATA SSD) has a size of 0 bytes",
            "put a medium in, or choose another disk",
        ),
    ]


def test_what_is_no_whole_disk() -> None:
    disk = disks("sas-raid")["sdb"]
    assert said(replace(disk, kind=Kind.PARTITION)) == [
        ("not-a-disk", "/dev/sdb is a partition, not a whole disk", OTHER)
    ]
    assert said(replace(disk, kind=Kind.STACKED)) == [
        (
            "not-a-disk",
            "/dev/sdb is made of other devices and is not a disk of its own",
            "take that stack down and choose the disk below it",
        )
    ]
    assert said(disks("no-serial")["sr0"]) == [
        (
            "not-a-disk",
            "/dev/sr0 (DVD-ROM, serial VB2-01700376) is an optical drive",
            OTHER,
        )
    ]


def test_a_file_may_be_empty_but_not_read_only() -> None:
    file = replace(disks("sas-raid")["sdb"], kind=Kind.FILE, path=Path("/tmp/x"), size=0)
    assert said(file) == []
    assert said(replace(file, read_only=True)) == [
        ("disk-read-only", "/tmp/x is read-only", "make it writable: chmod u+w /tmp/x")
    ]
