"""`bty inventory --for-pretend`: the machine as a file, with and without what names it in the world."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bty_agent.exits import Exit
from bty_agent.pretend.mask import masked
from bty_agent.pretend.read import parse_machine, read_machine
from bty_agent.pretend.write import machine_text
from bty_core.disks.lsblk import parse
from bty_core.disks.model import Disk
from bty_core.disks.sysfs import KernelFacts
from bty_core.machine.inventory import reported
from bty_core.machine.model import Firmware, Identity, Inventory, Nic
from tests.agent.pretend.machines import NAMES, machine_file
from tests.agent.running import bty

LSBLK = sorted((Path(__file__).resolve().parents[2] / "data/lsblk").glob("*.json"))
UUID = "4c4c4544-0058-4b10-8032-b7c04f514d32"


def inventory(disks: list[Disk]) -> Inventory:
    return Inventory(
        identity=Identity(vendor="Dell", product="R730", serial="7XK2QM2", uuid=UUID),
        firmware=Firmware.BIOS,
        cpu="Xeon",
        memory_bytes=8192,
        disks=reported(disks),
        nics=(Nic(name="eno1", mac="24:6e:96:12:34:54"), Nic(name="eno2", mac="24:6e:96:12:34:55")),
    )


def without_counts(disks: list[Disk]) -> list[Disk]:
    """Return the disks without the kernel's own numbers, which are no part of the file."""
    return [replace(disk, device=(0, 0), diskseq=None) for disk in disks]


def read(text: str) -> tuple[Inventory, list[Disk]]:
    machine = parse_machine(json.loads(text), "x")
    return machine.inventory, [one.disk for one in machine.disks]


@pytest.mark.parametrize("file", LSBLK, ids=lambda file: file.stem)
def test_a_machine_and_its_file_are_the_same(file: Path) -> None:
    disks = parse(file.read_text(), facts=KernelFacts())
    known = inventory(disks)
    found, shown = read(machine_text(known, disks))
    assert without_counts(shown) == without_counts(disks)
    assert replace(found, disks=()) == replace(known, disks=())


def test_this_computer_can_be_pretended(tmp_path: Path) -> None:
    made = bty("inventory", "--for-pretend")
    assert made.code == Exit.DONE
    file = tmp_path / "here.json"
    file.write_text(made.out)
    here, there = (
        bty("disks", "--all", "--json"),
        bty("disks", "--all", "--json", "--pretend", file),
    )
    assert there.json["disks"] == here.json["disks"]
    here, there = bty("inventory", "--json"), bty("inventory", "--json", "--pretend", file)
    assert there.json == here.json


@pytest.mark.parametrize("name", NAMES)
def test_a_pretended_machine_can_be_pretended(name: str, tmp_path: Path) -> None:
    made = bty("inventory", "--for-pretend", "--pretend", machine_file(name))
    file = tmp_path / "again.json"
    file.write_text(made.out)
    again = bty("inventory", "--for-pretend", "--pretend", file)
    assert (again.code, again.out) == (Exit.DONE, made.out)


@pytest.mark.parametrize("name", NAMES)
def test_a_masked_file_keeps_no_number_and_still_reads(name: str, tmp_path: Path) -> None:
    plain = read_machine(machine_file(name))
    made = bty("inventory", "--for-pretend", "--mask", "--pretend", machine_file(name))
    file = tmp_path / "masked.json"
    file.write_text(made.out)
    assert bty("disks", "--pretend", file).code == Exit.DONE
    identity = plain.inventory.identity
    disks = [one.disk for one in plain.disks]
    numbers = [identity.serial, identity.uuid, *(nic.mac for nic in plain.inventory.nics)]
    numbers += [
        re.sub("^(0x|eui.)", "", text or "") for disk in disks for text in (disk.serial, disk.wwn)
    ]
    assert [one for one in numbers if one and one.lower() in made.out.lower()] == []


def test_masked_numbers_stay_equal_long_and_of_their_kind() -> None:
    disks = [one.disk for one in read_machine(machine_file("equal-serials")).disks]
    disks += [one.disk for one in read_machine(machine_file("sas-raid")).disks]
    _, found = masked(inventory(disks), disks)
    first, second, raid, plain = found
    assert first.serial == second.serial != raid.serial
    assert [len(one.serial or "") for one in found] == [len(one.serial or "") for one in disks]
    assert [len(one.wwn or "") for one in found] == [len(one.wwn or "") for one in disks]
    assert (plain.wwn or "").startswith("0x0000")
    assert first.wwn is None
    # The place of a disk says where it is, and what it says of a number is masked.
    assert raid.by_path == disks[2].by_path
    assert "5000c500" not in plain.by_path[0]
    assert plain.by_path[0].startswith("pci-0000:03:00.0-sas-0x0000")


def test_numbers_are_masked_wherever_they_are() -> None:
    number = "600508b4000971ca"
    disk: dict[str, Any] = {
        "path": "/dev/sda",
        "size_bytes": 1 << 30,
        "wwn": f"0x{number}",
        "by_path": ["ip-10.1.2.3:3260-iscsi-iqn.2001-05.com.example:storage-lun-0"],
        "uses": [{"device": f"/dev/mapper/3{number}", "what": f"multipath 3{number}"}],
    }
    disks = [parse_machine({"disks": [disk]}, "x").disks[0].disk]
    whole, found = masked(inventory(disks), disks)
    text = machine_text(whole, found)
    assert [disk.by_path for disk in found] == [("masked-3",)]
    for secret in (number, "10.1.2.3", "example", "7XK2QM2", UUID, "24:6e:96"):
        assert secret not in text
    assert [nic.mac for nic in whole.nics] == ["02:00:00:00:00:01", "02:00:00:00:00:02"]


def test_mask_alone_makes_no_sense() -> None:
    ran = bty("inventory", "--mask")
    assert ran.code == Exit.USAGE
    assert "--mask belongs to --for-pretend" in ran.err


def test_json_and_for_pretend_exclude_each_other() -> None:
    assert bty("inventory", "--json", "--for-pretend").code == Exit.USAGE
