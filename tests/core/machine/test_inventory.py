"""What a machine is, from trees of files that stand for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bty_core.disks.lsblk import parse
from bty_core.disks.sysfs import DeviceFacts, KernelFacts
from bty_core.machine.dmi import meaningful, plausible_uuid, read_identity
from bty_core.machine.inventory import read_inventory
from bty_core.machine.model import Firmware, Identity, Nic
from bty_core.machine.nics import read_nics

DATA = Path(__file__).parents[2] / "data" / "lsblk"


def plant(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def nic(root: Path, name: str, mac: str, *, hardware: bool = True, type_: str = "1") -> None:
    folder = f"sys/class/net/{name}/"
    plant(root, {folder + "address": mac + "\n", folder + "type": type_ + "\n"})
    if hardware:
        (root / folder / "device").mkdir()


def test_an_inventory_on_the_wire(tmp_path: Path) -> None:
    dmi = "sys/class/dmi/id/"
    plant(
        tmp_path,
        {
            dmi + "sys_vendor": "Dell Inc.\n",
            dmi + "product_name": "PowerEdge R640\n",
            dmi + "product_serial": "5XYZ123 \n",
            dmi + "product_uuid": "4C4C4544-0058-5910-805A-B5C04F313233\n",
            "sys/firmware/efi/fw_platform_size": "64\n",
            "proc/cpuinfo": "processor\t: 0\nmodel name\t: Intel(R) Xeon(R)  Gold 6130\n\n"
            "processor\t: 1\nmodel name\t: other\n",
            "proc/meminfo": "MemTotal:       16384256 kB\nMemFree:  1 kB\n",
        },
    )
    nic(tmp_path, "eno1", "D0:94:66:2A:00:01")
    facts = KernelFacts(
        devices={"nbd0": DeviceFacts(virtual=True), "nbd1": DeviceFacts(virtual=True)}
    )
    disks = [
        disk
        for name in ("usb-live", "no-serial", "virtio")
        for disk in parse((DATA / f"{name}.json").read_text(), facts=facts)
    ]
    inventory = read_inventory(disks=disks, root=tmp_path)
    wire = inventory.wire()
    assert wire.pop("disks")[1:3] == [
        {
            "path": "/dev/sdb",
            "size_bytes": 2000398934016,
            "serial": "575841",
            "wwn": None,
            "model": "Elements 25A2",
            "transport": "usb",
            "removable": False,
        },
        {
            "path": "/dev/nvme0n1",
            "size_bytes": 512110190592,
            "serial": "22251K800001",
            "wwn": "eui.e8238fa6bf530001001b448b4e0d0001",
            "model": "WD_BLACK SN770",
            "transport": "nvme",
            "removable": False,
        },
    ]
    # No loop device, optical drive, empty card reader or network block device.
    assert [str(disk.path) for disk in inventory.disks] == [
        "/dev/sda",
        "/dev/sdb",
        "/dev/nvme0n1",
        "/dev/sda",
        "/dev/sda",
        "/dev/vda",
        "/dev/vdb",
    ]
    assert wire == {
        "nics": [{"name": "eno1", "mac": "d0:94:66:2a:00:01"}],
        "cpu": "Intel(R) Xeon(R) Gold 6130",
        "memory_bytes": 16777478144,
        "firmware": "uefi",
        "vendor": "Dell Inc.",
        "product": "PowerEdge R640",
        "serial": "5XYZ123",
        "uuid": "4c4c4544-0058-5910-805a-b5c04f313233",
    }


def test_a_machine_that_says_nothing_of_itself(tmp_path: Path) -> None:
    inventory = read_inventory(disks=[], root=tmp_path)
    assert inventory.identity == Identity(vendor=None, product=None, serial=None, uuid=None)
    assert (inventory.firmware, inventory.cpu, inventory.memory_bytes) == (Firmware.BIOS, None, 0)
    assert (inventory.disks, inventory.nics) == ((), ())


def test_an_arm_board_is_named_by_its_device_tree(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 108.00\n",
            "sys/firmware/devicetree/base/model": "Raspberry Pi 4 Model B Rev 1.4\0",
        },
    )
    assert read_inventory(disks=[], root=tmp_path).cpu == "Raspberry Pi 4 Model B Rev 1.4"


def test_only_hardware_is_a_nic(tmp_path: Path) -> None:
    for name in ("eth10", "eth2"):
        nic(tmp_path, name, f"02:00:00:00:00:{name[3:]:0>2}")
    nic(tmp_path, "lo", "00:00:00:00:00:00", hardware=False, type_="772")
    nic(tmp_path, "veth1", "02:00:00:00:01:01", hardware=False)
    nic(tmp_path, "br0", "02:00:00:00:01:02", hardware=False)
    nic(tmp_path, "ib0", "80:00:02:08:fe:80:00:00", type_="32")
    nic(tmp_path, "usb0", "00:00:00:00:00:00")
    nic(tmp_path, "eth3", "02:00:00:00:00:99")
    plant(tmp_path, {"sys/class/net/eth3/bonding_slave/perm_hwaddr": "02:00:00:00:00:03\n"})
    nic(tmp_path, "eth2v0", "02:00:00:00:00:44")
    (tmp_path / "sys/class/net/eth2v0/device/physfn").mkdir()
    plant(tmp_path, {"sys/class/net/bonding_masters": "bond0\n"})
    assert read_nics(tmp_path) == [
        Nic(name="eth2", mac="02:00:00:00:00:02"),
        Nic(name="eth3", mac="02:00:00:00:00:03"),
        Nic(name="eth10", mac="02:00:00:00:00:10"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "To Be Filled By O.E.M.",
        "to be filled by O.E.M",
        "Default string",
        "System Serial Number",
        "Not Specified",
        "N/A",
        "None",
        "0",
        "00000000",
        "FFFFFFFF",
        "xxxxxxxx",
        "................",
        "0123456789",
    ],
)
def test_what_makers_forgot_to_fill_in(text: str | None) -> None:
    assert meaningful(text) is None


@pytest.mark.parametrize("text", ["Dell Inc.", "5XYZ123", "System Product Name 2", "Standard PC"])
def test_names_are_kept_as_they_are(text: str) -> None:
    assert meaningful(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4C4C4544-0058-5910-805A-B5C04F313233", "4c4c4544-0058-5910-805a-b5c04f313233"),
        ("00000000-0000-0000-0000-000000000000", None),
        ("FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", None),
        ("03000200-0400-0500-0006-000700080009", None),
        ("Not Settable", None),
        (None, None),
    ],
)
def test_a_uuid_that_tells_machines_apart(text: str | None, expected: str | None) -> None:
    assert plausible_uuid(text) == expected


def test_what_only_root_may_read_is_unknown_to_others(tmp_path: Path) -> None:
    # A folder cannot be read as a file, as root either.
    (tmp_path / "sys/class/dmi/id/product_serial").mkdir(parents=True)
    plant(tmp_path, {"sys/class/dmi/id/product_name": "ThinkPad\n"})
    assert read_identity(tmp_path) == Identity(
        vendor=None, product="ThinkPad", serial=None, uuid=None
    )


def test_this_machine() -> None:
    inventory = read_inventory()
    assert inventory.memory_bytes > 2**20
    assert inventory.cpu
    assert set(inventory.wire()) == {
        "disks",
        "nics",
        "cpu",
        "memory_bytes",
        "firmware",
        "vendor",
        "product",
        "serial",
        "uuid",
    }
