"""lsblk's JSON, written by hand in the shapes that machines of many kinds give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bty_core.disks.lsblk import parse
from bty_core.disks.model import Disk, Kind, Partition, Transport, Use
from bty_core.disks.sysfs import DeviceFacts, KernelFacts, Mount
from bty_core.errors import CommandFailed

DATA = Path(__file__).parents[2] / "data" / "lsblk"
NOTHING = KernelFacts()


def disks(name: str, facts: KernelFacts = NOTHING) -> dict[str, Disk]:
    found = parse((DATA / f"{name}.json").read_text(), facts=facts)
    return {disk.path.name: disk for disk in found}


def uses(disk: Disk) -> list[tuple[str, str, bool]]:
    return [(str(use.device), use.what, use.running_system) for use in disk.uses]


def test_everything_of_a_disk_with_the_running_system() -> None:
    facts = KernelFacts(
        devices={
            "nvme0n1": DeviceFacts(diskseq=7, by_path=("pci-0000:01:00.0-nvme-1",)),
            "nvme0n1p2": DeviceFacts(partition=2, start=537919488),
        }
    )
    linux = "0fc63daf-8483-4772-8e79-3d69d8477de4"
    assert disks("nvme-root", facts) == {
        "nvme0n1": Disk(
            path=Path("/dev/nvme0n1"),
            kind=Kind.DISK,
            size=1000204886016,
            logical_sector=512,
            physical_sector=512,
            device=(259, 0),
            diskseq=7,
            model="Samsung SSD 980 PRO 1TB",
            serial="S5GXNX0R123456",
            wwn="eui.002538b911b37f1a",
            transport=Transport.NVME,
            removable=False,
            read_only=False,
            rotational=False,
            by_path=("pci-0000:01:00.0-nvme-1",),
            table="gpt",
            filesystem=None,
            label=None,
            partitions=(
                Partition(
                    path=Path("/dev/nvme0n1p1"),
                    number=1,
                    start=1048576,
                    size=536870912,
                    type="c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
                    partlabel="EFI System Partition",
                    filesystem="vfat",
                    label=None,
                ),
                Partition(
                    path=Path("/dev/nvme0n1p2"),
                    number=2,
                    start=537919488,
                    size=998643859456,
                    type=linux,
                    partlabel=None,
                    filesystem="ext4",
                    label="root",
                ),
                Partition(
                    path=Path("/dev/nvme0n1p3"),
                    number=3,
                    start=999180730368,
                    size=1022361600,
                    type="0657fd6d-a4ab-43c4-84e5-0933c84b4f4f",
                    partlabel=None,
                    filesystem="swap",
                    label=None,
                ),
            ),
            uses=(
                Use(
                    device=Path("/dev/nvme0n1p1"), what="mounted on /boot/efi", running_system=True
                ),
                Use(device=Path("/dev/nvme0n1p2"), what="mounted on /", running_system=True),
                Use(
                    device=Path("/dev/nvme0n1p2"),
                    what="mounted on /var/snap/host root",
                    running_system=True,
                ),
                Use(device=Path("/dev/nvme0n1p3"), what="swap"),
            ),
        )
    }


def test_sas_disks_behind_a_raid_controller_and_4kn() -> None:
    found = disks(
        "sas-raid", KernelFacts(scsi_hosts={0: "megaraid_sas", 1: "mpt3sas", 2: "mptspi"})
    )
    assert {name: disk.transport for name, disk in found.items()} == {
        "sda": Transport.SAS,
        "sdb": Transport.SAS,
        "sdc": Transport.OTHER,
    }
    assert (found["sdb"].logical_sector, found["sdb"].physical_sector) == (4096, 4096)
    # The kernel counts a partition's start in 512-byte sectors on every disk; sorted by start.
    assert [(p.number, p.start) for p in found["sdb"].partitions] == [(1, 1048576), (2, 9437184)]
    assert disks("sas-raid")["sda"].transport is Transport.OTHER


def test_emmc_without_its_boot_partitions_and_memory() -> None:
    facts = KernelFacts(
        devices={"mmcblk1": DeviceFacts(card=True), "mmcblk0": DeviceFacts(model="BJTD4R")}
    )
    found = disks("emmc", facts)
    assert list(found) == ["mmcblk0", "mmcblk1"]
    assert (found["mmcblk0"].transport, found["mmcblk0"].model) == (Transport.MMC, "BJTD4R")
    assert [disk.removable for disk in found.values()] == [False, True]
    assert [disk.named_only for disk in found.values()] == [False, True]


def test_both_paths_of_a_multipath_disk_are_busy() -> None:
    found = disks("multipath")
    expected = [
        ("/dev/mapper/mpatha", "multipath device mpatha", False),
        ("/dev/mapper/mpatha-part1", "device-mapper device mpatha-part1", False),
        ("/dev/mapper/mpatha-part1", "mounted on /srv", False),
    ]
    assert list(found) == ["sda", "sdb"]
    assert [uses(disk) for disk in found.values()] == [expected, expected]
    assert found["sda"].transport is Transport.FC
    assert found["sda"].partitions == ()


def test_a_blank_serial_is_none_and_a_drive_without_medium_is_named_only() -> None:
    found = disks("no-serial")
    assert (found["sda"].serial, found["sda"].named_only) == (None, False)
    assert (found["sdb"].size, found["sdb"].transport) == (0, Transport.USB)
    assert (found["sr0"].kind, found["sr0"].named_only) == (Kind.ROM, True)


def test_a_stack_of_lvm_on_dm_crypt_on_md_is_a_use_at_every_depth() -> None:
    found = disks("lvm-crypt-md")
    expected = [
        ("/dev/md0", "md array md0", False),
        ("/dev/mapper/md0_crypt", "encrypted volume md0_crypt", False),
        ("/dev/mapper/vg0-root", "lvm volume vg0-root", False),
        ("/dev/mapper/vg0-root", "mounted on /", True),
        ("/dev/mapper/vg0-idle", "lvm volume vg0-idle", False),
    ]
    assert {name: uses(disk) for name, disk in found.items()} == {
        "sda": expected,
        "sdb": expected,
        "sdc": [],
        "sdd": [("/dev/bcache0", "block device bcache0", False)],
    }


def test_a_usb_stick_that_is_the_live_medium() -> None:
    squashfs = "/run/live/medium/live/filesystem.squashfs"
    facts = KernelFacts(devices={"loop0": DeviceFacts(virtual=True, backing_file=squashfs)})
    found = disks("usb-live", facts)
    assert list(found) == ["loop0", "sda", "sdb", "nvme0n1"]
    assert uses(found["sda"]) == [
        ("/dev/sda1", "mounted on /run/live/medium", True),
        ("/dev/sda2", "mounted on /var/lib/bty/images", False),
    ]
    assert uses(found["sdb"]) == uses(found["nvme0n1"]) == []
    assert [disk.named_only for disk in found.values()] == [True, True, True, False]
    assert (found["loop0"].kind, found["loop0"].virtual) == (Kind.LOOP, False)


def test_the_disk_below_the_lower_layer_of_the_root_carries_the_system() -> None:
    """The medium is mounted where no rule knows it: only the trace from the root finds it."""
    text = (DATA / "usb-live.json").read_text()
    text = text.replace("/run/live/rootfs/", "/lower/").replace("/run/live/medium", "/stick")
    stick = Mount(device="8:1", point="/stick", filesystem="vfat", source="/dev/sda1", options="rw")
    lower = Mount(
        device="7:0",
        point="/lower/filesystem.squashfs",
        filesystem="squashfs",
        source="/dev/loop0",
        options="ro",
    )
    root = Mount(
        device="0:30",
        point="/",
        filesystem="overlay",
        source="overlay",
        options="rw,lowerdir=/nowhere:/lower/filesystem.squashfs,upperdir=/cow",
    )
    devices = {"loop0": DeviceFacts(backing_file="/stick/live/filesystem.squashfs")}
    traced = KernelFacts(devices=devices, mounts=(root, lower, stick))
    found = {disk.path.name: disk for disk in parse(text, facts=traced)}
    assert uses(found["sda"])[0] == ("/dev/sda1", "mounted on /stick", True)
    assert uses(found["loop0"]) == [("/dev/loop0", "mounted on /lower/filesystem.squashfs", True)]
    # The same mounts on a machine whose root is elsewhere are uses like others.
    elsewhere = KernelFacts(devices=devices, mounts=(lower, stick))
    found = {disk.path.name: disk for disk in parse(text, facts=elsewhere)}
    assert uses(found["sda"])[0] == ("/dev/sda1", "mounted on /stick", False)


def test_a_loop_device_over_a_partition_is_a_use_of_the_disk_and_no_target() -> None:
    facts = KernelFacts(devices={"loop0": DeviceFacts(backing_file="/dev/sda1")})
    found = disks("usb-live", facts)
    assert "loop0" not in found
    assert uses(found["sda"])[:3] == [
        ("/dev/sda1", "mounted on /run/live/medium", True),
        ("/dev/loop0", "loop device", True),
        ("/dev/loop0", "mounted on /run/live/rootfs/filesystem.squashfs", True),
    ]


def test_a_loop_device_is_traced_by_device_number_too() -> None:
    facts = KernelFacts(
        devices={"loop0": DeviceFacts(backing_file="/dev/disk/by-id/x", backing_device="8:16")}
    )
    assert uses(disks("usb-live", facts)["sdb"])[0] == ("/dev/loop0", "loop device", True)


def test_virtual_machines_disks() -> None:
    facts = KernelFacts(
        devices={
            "nbd0": DeviceFacts(virtual=True),
            "nbd1": DeviceFacts(virtual=True),
            "vda": DeviceFacts(serial="root-disk"),
        }
    )
    found = disks("virtio", facts)
    assert {name: (disk.transport, disk.named_only) for name, disk in found.items()} == {
        "nbd0": (Transport.OTHER, True),
        "sda": (Transport.VIRTIO, False),
        "vda": (Transport.VIRTIO, False),
        "vdb": (Transport.VIRTIO, False),
    }
    assert (found["vda"].serial, found["vdb"].serial) == ("root-disk", "data-disk")
    assert (found["vda"].read_only, found["vdb"].read_only) == (False, True)


def test_a_flat_list_of_texts() -> None:
    found = disks("flat-text")
    disk = found["sda"]
    assert list(found) == ["sda", "sr0"]
    assert (disk.size, disk.rotational, disk.removable) == (500107862016, True, False)
    assert (disk.model, disk.serial) == ("WDC WD5000AAKX-0", "WD-WCAYU1")
    assert [(p.number, p.start, p.size) for p in disk.partitions] == [(1, 1048576, 500106813440)]
    assert uses(disk) == [("/dev/sda1", "mounted on /srv/data", False)]
    assert found["sr0"].read_only


def test_a_nested_list_and_the_same_list_flat_mean_the_same() -> None:
    """The flat list shows a device once for each parent."""
    text = (DATA / "lvm-crypt-md.json").read_text()
    flat: list[dict[str, Any]] = []

    def walk(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            flat.append({key: value for key, value in row.items() if key != "children"})
            walk(row.get("children", []))

    walk(json.loads(text)["blockdevices"])
    assert parse(json.dumps({"blockdevices": flat}), facts=NOTHING) == parse(text, facts=NOTHING)


def test_the_kernels_mount_points_win_over_the_broken_ones_of_lsblk() -> None:
    mount = Mount(device="8:0", point="/po\nol", filesystem="ext4", source="/dev/sda", options="rw")
    found = disks("btrfs-two", KernelFacts(mounts=(mount,)))
    assert uses(found["sda"]) == [("/dev/sda", "mounted on /po\\nol", False)]


def test_a_multi_device_filesystem_is_a_use_although_its_number_is_nobodys() -> None:
    mount = Mount(device="0:41", point="/pool", filesystem="btrfs", source="/dev/sda", options="rw")
    found = disks("btrfs-two", KernelFacts(mounts=(mount,)))
    assert uses(found["sda"]) == [("/dev/sda", "mounted on /pool", False)]


def test_a_hidden_path_of_an_nvme_disk_is_left_out() -> None:
    facts = KernelFacts(devices={"nvme0n1": DeviceFacts(hidden=True)})
    assert disks("nvme-root", facts) == {}


@pytest.mark.parametrize("text", ["", "\n", '{"blockdevices": []}'])
def test_no_disks_at_all(text: str) -> None:
    assert parse(text, facts=NOTHING) == []


@pytest.mark.parametrize(
    "text", ["lsblk: ?", "[]", '{"blockdevices": 3}', '{"blockdevices": [{"name": "sda"}]}']
)
def test_nonsense_is_a_failure_and_never_an_empty_list(text: str) -> None:
    with pytest.raises(CommandFailed, match=r"^lsblk answered something that cannot be read: "):
        parse(text, facts=NOTHING)
