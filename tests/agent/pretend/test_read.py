"""The file of a machine: what may be left away, and what is said of a mistake."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bty_agent.exits import Exit
from bty_agent.pretend.machine import DISK, MACHINE, NIC, PARTITION, USE
from bty_agent.pretend.read import parse_machine
from bty_core.disks.model import Disk, Kind, Transport, Use
from bty_core.machine.model import Firmware
from bty_core.values import GIB, MIB
from bty_core.wire.fields import InvalidField
from tests.agent.pretend.machines import saved
from tests.agent.running import bty

SDA = {"path": "/dev/sda", "size_bytes": 16 * MIB}


def disk(**facts: Any) -> Disk:
    return parse_machine({"disks": [{**SDA, **facts}]}, "x").disks[0].disk


def test_a_machine_needs_no_more_than_its_disks() -> None:
    machine = parse_machine({"disks": []}, "file-name")
    assert (machine.name, machine.console, machine.root) == ("file-name", "tty1", True)
    assert machine.inventory.firmware is Firmware.UEFI
    assert machine.inventory.memory_bytes == 8 * GIB
    assert machine.disks == ()


def test_a_disk_needs_no_more_than_path_and_size() -> None:
    found = disk()
    assert (found.kind, found.transport, found.size) == (Kind.DISK, Transport.SATA, 16 * MIB)
    assert (found.logical_sector, found.physical_sector) == (512, 512)
    assert (found.serial, found.table, found.partitions, found.uses) == (None, None, (), ())
    assert [found.removable, found.read_only, found.virtual] == [False] * 3


@pytest.mark.parametrize(
    ("path", "transport"),
    [("/dev/nvme1n1", "nvme"), ("/dev/mmcblk0", "mmc"), ("/dev/vda", "virtio"), ("/dev/sdz", "sata")],
)  # fmt: skip
def test_the_name_of_a_device_says_how_it_is_attached(path: str, transport: str) -> None:
    assert disk(path=path).transport == transport


def test_partitions_follow_each_other() -> None:
    found = disk(path="/dev/nvme0n1", partitions=[{"size_bytes": MIB}, {"size_bytes": MIB}])
    assert [(str(part.path), part.number, part.start) for part in found.partitions] == [
        ("/dev/nvme0n1p1", 1, MIB),
        ("/dev/nvme0n1p2", 2, 2 * MIB),
    ]


def test_what_keeps_a_disk_busy_is_on_the_disk_unless_said() -> None:
    assert disk(uses=[{"what": "swap"}]).uses == (Use(device=Path("/dev/sda"), what="swap"),)


ANY = f"must be a whole number from 0 to {2**63 - 1}"
TRANSPORTS = "nvme, sata, sas, usb, virtio, mmc, iscsi, fc, other"


@pytest.mark.parametrize(
    ("facts", "field", "said"),
    [
        ({"path": None}, "path", "is missing"),
        ({"path": "sda"}, "path", "must be a path below /dev, not 'sda'"),
        ({"path": "/dev/../etc"}, "path", "must be a path below /dev, not '/dev/../etc'"),
        ({"size_bytes": 1000}, "size_bytes", "must be a multiple of 512, not 1000"),
        ({"size_bytes": "1 TB"}, "size_bytes", f"{ANY}, not '1 TB'"),
        ({"size_bytes": -512}, "size_bytes", f"{ANY}, not -512"),
        (
            {"logical_sector_bytes": 520},
            "logical_sector_bytes",
            "must be a power of two from 512 to 1048576, not 520",
        ),
        ({"kind": "part"}, "kind", "must be one of disk, loop, rom, stacked, not 'part'"),
        ({"transport": "scsi"}, "transport", f"must be one of {TRANSPORTS}, not 'scsi'"),
        ({"by_path": ["a", 7]}, "by_path[1]", "must be a text, not 7"),
        ({"by_path": "a"}, "by_path", "must be an array, not 'a'"),
        (
            {"partitions": [{"size_bytes": 16 * MIB}]},
            "partitions[0].size_bytes",
            "ends at byte 17825792, and the disk at 16777216",
        ),
        ({"uses": [{"device": "/dev/sda1"}]}, "uses[0].what", "is missing"),
        ({"bytes_per_second": 0}, "bytes_per_second", "must be more than 0"),
    ],
)
def test_a_mistake_in_a_disk_is_named(facts: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(InvalidField) as failure:
        parse_machine({"disks": [SDA, {**SDA, "path": "/dev/sdb", **facts}]}, "x")
    assert failure.value.field == f"disks[1].{field}"
    assert failure.value.message == f"'disks[1].{field}' {said}"


@pytest.mark.parametrize(
    ("machine", "field", "said"),
    [
        ([], "", "the message must be a JSON object, not an array"),
        ({}, "disks", "'disks' is missing"),
        ({"disks": {}}, "disks", "'disks' must be an array, not an object"),
        ({"disks": [SDA, SDA]}, "disks[1].path", "'disks[1].path': /dev/sda is there twice"),
        ({"disks": [], "root": 1}, "root", "'root' must be true or false, not 1"),
        (
            {"disks": [], "firmware": "efi"},
            "firmware",
            "'firmware' must be one of bios, uefi, not 'efi'",
        ),
        (
            {"disks": [], "nics": [{"name": "eth0", "mac": "5"}]},
            "nics[0].mac",
            "'nics[0].mac': '5' is not a MAC address",
        ),
    ],
)
def test_a_mistake_is_named(machine: Any, field: str, said: str) -> None:
    with pytest.raises(InvalidField) as failure:
        parse_machine(machine, "x")
    assert (failure.value.field, failure.value.message) == (field, said)


def test_a_mistyped_field_is_recognised() -> None:
    with pytest.raises(InvalidField) as failure:
        parse_machine({"disks": [SDA | {"removables": True}]}, "x")
    assert failure.value.message == "there is no field 'disks[0].removables'"
    assert failure.value.hint == "is removable meant?"


def test_a_mistake_names_the_file_and_is_a_mistake_of_usage(tmp_path: Path) -> None:
    file = saved(tmp_path, {"path": "/dev/sda"})
    ran = bty("disks", "--pretend", file, width=300)
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert f"bty: {file}: 'disks[0].size_bytes' is missing" in ran.err


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"disks": [}', "is not JSON: Expecting value (line 1, column 12)"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 200_000, "is not JSON"),
        (b" " * (17 << 20), "is too large to be the file of a machine"),
    ],
    ids=["syntax", "encoding", "depth", "size"],
)
def test_a_file_that_is_no_json_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    file = tmp_path / "machine.json"
    file.write_bytes(data)
    ran = bty("disks", "--pretend", file)
    assert ran.code == Exit.USAGE
    assert f"bty: {file} {said}" in ran.err


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    ran = bty("disks", "--pretend", tmp_path / "none.json")
    assert ran.code == Exit.USAGE
    assert f"bty: {tmp_path}/none.json cannot be read: No such file or directory" in ran.err


def test_scratch_alone_makes_no_sense(tmp_path: Path) -> None:
    ran = bty("disks", "--scratch", tmp_path)
    assert ran.code == Exit.USAGE
    assert "--scratch belongs to --pretend" in ran.err


def inside(where: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Return a machine with `entry` somewhere in it."""
    below: dict[str, dict[str, Any]] = {
        "nics": {"name": "eth0", "mac": "52:54:00:12:34:56"},
        "uses": {"what": "swap"},
    }
    below |= {"partitions": {"size_bytes": MIB}, "disks": SDA}
    if where == "":
        return {"disks": [], **entry}
    if where in ("nics", "disks"):
        return {"disks": [], where: [{**below[where], **entry}]}
    return {"disks": [{**SDA, where: [{**below[where], **entry}]}]}


NOT_USED = ("note", "refusals")
FIELDS = {"": MACHINE, "nics": NIC, "disks": DISK, "partitions": PARTITION, "uses": USE}


@pytest.mark.parametrize(
    ("where", "field"), [(where, field) for where, known in FIELDS.items() for field in known]
)
def test_every_field_of_the_manual_is_read(where: str, field: str) -> None:
    parse_machine(inside(where, {field: None} if field in NOT_USED else {}), "x")
    if field not in NOT_USED:
        with pytest.raises(InvalidField) as failure:
            parse_machine(inside(where, {field: {"no": "value"}}), "x")
        assert failure.value.field.rpartition(".")[2] == field


def test_the_machines_in_the_manual_are_machines() -> None:
    from docs.generate import pretended_machines

    how_to = Path(__file__).resolve().parents[3] / "docs/how-to/try-on-a-laptop.md"
    for page in (how_to.read_text(), pretended_machines()):
        (text,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
        machine = parse_machine(json.loads(text), "x")
        assert machine.disks
    for text in re.findall(r"^\| `(\".*?)` \|", how_to.read_text(), re.MULTILINE):
        parse_machine({"disks": [SDA | json.loads("{" + text + "}")]}, "x")
