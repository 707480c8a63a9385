"""sysfs and /proc of machines that are only a tree of files."""

from __future__ import annotations

import os
from pathlib import Path

from bty_core.disks.sysfs import DeviceFacts, Mount, read_facts, whole_device


def plant(root: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_an_empty_tree_says_nothing(tmp_path: Path) -> None:
    facts = read_facts(tmp_path)
    assert (facts.devices, facts.mounts, facts.scsi_hosts) == ({}, (), {})
    assert facts.of("sda") == DeviceFacts()
    assert facts.mount_of("/srv") is None


def test_serials_and_models_without_a_udev_database(tmp_path: Path) -> None:
    block = "sys/class/block/"
    plant(
        tmp_path,
        {
            block + "nvme0n1/device/model": "WD_BLACK SN770                  \n",
            block + "nvme0n1/device/serial": "22251K800001        \n",
            block + "nvme0n1/wwid": "eui.e8238fa6bf530001\n",
            block + "nvme0n1/diskseq": "12\n",
            block + "nvme0n1/hidden": "0\n",
            block + "nvme0c0n1/device/serial": "22251K800001\n",
            block + "nvme0c0n1/hidden": "1\n",
            block + "sda/device/model": "PERC H730 Mini  \n",
            block + "sda/device/vpd_pg80": b"\x00\x80\x00\x08  61866d\x00\x00",
            block + "sda/device/wwid": "naa.61866da0a8b9c200\n",
            block + "sdb/device/vendor": "SanDisk \n",
            block + "sdb/device/wwid": "t10.ATA     SanDisk\n",
            block + "sdb1/partition": "1\n",
            block + "sdb1/start": "2048\n",
            block + "vda/device/vendor": "0x1af4\n",
            block + "vda/serial": "root-disk",
            block + "mmcblk0/device/name": "BJTD4R\n",
            block + "mmcblk0/device/serial": "0x3e4a91b2\n",
            block + "mmcblk0/device/type": "MMC\n",
            block + "mmcblk1/device/type": "SD\n",
            block + "nbd0/size": "0\n",
            block + "cciss!c0d0/device/model": "LOGICAL\n",
            "sys/class/scsi_host/host0/proc_name": "megaraid_sas\n",
            "sys/class/scsi_host/host11/proc_name": "ahci\n",
        },
    )
    links = tmp_path / "dev/disk/by-path"
    links.mkdir(parents=True)
    (links / "pci-0000:00:17.0-ata-1").symlink_to("../../sda")
    (links / "pci-0000:00:17.0-ata-1.0").symlink_to("../../sda")
    facts = read_facts(tmp_path)
    assert facts.devices == {
        "nvme0n1": DeviceFacts(
            diskseq=12, model="WD_BLACK SN770", serial="22251K800001", wwn="eui.e8238fa6bf530001"
        ),
        "nvme0c0n1": DeviceFacts(serial="22251K800001", hidden=True),
        "sda": DeviceFacts(
            model="PERC H730 Mini",
            serial="61866d",
            wwn="naa.61866da0a8b9c200",
            by_path=("pci-0000:00:17.0-ata-1", "pci-0000:00:17.0-ata-1.0"),
        ),
        "sdb": DeviceFacts(model="SanDisk"),
        "sdb1": DeviceFacts(partition=1, start=1048576),
        "vda": DeviceFacts(serial="root-disk"),
        "mmcblk0": DeviceFacts(model="BJTD4R", serial="0x3e4a91b2"),
        "mmcblk1": DeviceFacts(card=True),
        "nbd0": DeviceFacts(virtual=True),
        "cciss!c0d0": DeviceFacts(model="LOGICAL"),
    }
    assert facts.of("cciss/c0d0").model == "LOGICAL"
    assert facts.scsi_hosts == {0: "megaraid_sas", 11: "ahci"}


def test_mount_points_are_unescaped_and_the_deepest_and_last_one_carries(tmp_path: Path) -> None:
    lines = [
        "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw",
        "40 27 8:1 / /srv/a\\040b rw - vfat /dev/sda1 rw",
        "41 27 8:2 / /srv/x\\012y\\134z\x85w rw shared:5 master:2 - ext4 /dev/sda2 rw",
        "42 27 8:3 / /srv/a\\040b rw - ext4 /dev/sda3 rw",
        "43 27",
    ]
    plant(tmp_path, {"proc/self/mountinfo": "\n".join(lines) + "\n"})
    facts = read_facts(tmp_path)
    assert [mount.point for mount in facts.mounts] == [
        "/",
        "/srv/a b",
        "/srv/x\ny\\z\x85w",
        "/srv/a b",
    ]
    assert facts.mounts[2] == Mount(
        device="8:2",
        point="/srv/x\ny\\z\x85w",
        filesystem="ext4",
        source="/dev/sda2",
        options="rw",
    )
    carrying = {
        path: mount.device
        for path in ("/srv/a b/c.img", "/srv/a bc", "/srv/a b", "/")
        if (mount := facts.mount_of(path))
    }
    assert carrying == {
        "/srv/a b/c.img": "8:3",
        "/srv/a bc": "254:0",
        "/srv/a b": "8:3",
        "/": "254:0",
    }


def test_the_backing_file_of_a_loop_device_keeps_its_blanks(tmp_path: Path) -> None:
    plant(tmp_path, {"sys/class/block/loop0/loop/backing_file": "/srv/a.img \n"})
    assert read_facts(tmp_path).of("loop0") == DeviceFacts(virtual=True, backing_file="/srv/a.img ")


def test_a_partition_knows_its_disk(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "sys/devices/pci/block/sda/size": "1\n",
            "sys/devices/pci/block/sda/sda1/partition": "1\n",
        },
    )
    numbers = tmp_path / "sys/dev/block"
    numbers.mkdir(parents=True)
    (numbers / "8:0").symlink_to("../../devices/pci/block/sda")
    (numbers / "8:1").symlink_to("../../devices/pci/block/sda/sda1")
    assert whole_device(os.makedev(8, 0), tmp_path) == ("sda", None)
    assert whole_device(os.makedev(8, 1), tmp_path) == ("sda1", "sda")
    assert whole_device(os.makedev(8, 2), tmp_path) is None
