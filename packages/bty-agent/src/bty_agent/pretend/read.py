"""From a file to a pretended machine; what is wrong in it is named."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bty_agent.pretend.machine import (
    DISK,
    MACHINE,
    NIC,
    PARTITION,
    USE,
    Behaviour,
    Machine,
    PretendedDisk,
)
from bty_core.disks.model import Disk, Kind, Partition, Transport, Use
from bty_core.errors import InvalidValue
from bty_core.machine.inventory import reported
from bty_core.machine.model import Firmware, Identity, Inventory, Nic
from bty_core.values import GIB, MIB, MacAddress
from bty_core.wire.fields import Fields, InvalidField

_MOST = 1000  # entries
_LONGEST = 4096  # characters of a path, of a command line
_MOST_BYTES = 16 * MIB  # of a file
_LISTED = (Kind.DISK, Kind.LOOP, Kind.ROM, Kind.STACKED)
_BY_NAME = {
    "nvme": Transport.NVME,
    "mmcblk": Transport.MMC,
    "vd": Transport.VIRTIO,
    "xvd": Transport.OTHER,
}
_MAJOR = 259  # as the kernel numbers what has no number of its own
_HINT = "the manual has the fields: reference, pretended machines"


def read_machine(file: Path) -> Machine:
    """Read the machine in `file`; raise `InvalidValue` with the file, the field and what is wrong with it."""
    try:
        with file.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InvalidValue(f"{file} cannot be read: {error.strerror}") from error
    if len(data) > _MOST_BYTES:
        raise InvalidValue(f"{file} is too large to be the file of a machine")
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidValue(f"{file} is not JSON: {error.msg} ({where})", hint=_HINT) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise InvalidValue(f"{file} is not JSON", hint=_HINT) from error
    try:
        return parse_machine(value, file.stem)
    except InvalidField as error:
        raise InvalidField(
            error.field, f"{file}: {error.message}", hint=error.hint or _HINT
        ) from error


def parse_machine(value: Any, name: str) -> Machine:
    """Return the machine in the JSON value, called `name` where it does not say; raise `InvalidField`."""
    given = Fields(value)
    given.refuse_unknown(MACHINE)
    disks = tuple(_disk(one, place) for place, one in enumerate(given.many("disks", most=_MOST), 1))
    _refuse_twice(disks)
    return Machine(
        name=_text(given, "name") or name,
        inventory=Inventory(
            identity=Identity(
                vendor=_text(given, "vendor"),
                product=_text(given, "product"),
                serial=_text(given, "serial"),
                uuid=_text(given, "uuid"),
            ),
            firmware=given.choice("firmware", Firmware) if given.has("firmware") else Firmware.UEFI,
            cpu=_text(given, "cpu"),
            memory_bytes=given.optional(given.integer, "memory_bytes", 8 * GIB),
            disks=reported([one.disk for one in disks]),
            nics=tuple(map(_nic, given.many("nics", most=_MOST))) if given.has("nics") else (),
        ),
        disks=disks,
        console=given.optional(given.text, "console", "tty1"),
        command_line=_text(given, "command_line") or "",
        root=given.optional(given.boolean, "root", True),
    )


def _nic(given: Fields) -> Nic:
    given.refuse_unknown(NIC)
    try:
        mac = MacAddress.parse(given.text("mac"))
    except InvalidField:
        raise
    except InvalidValue as error:
        raise InvalidField(given.name("mac"), f"'{given.name('mac')}': {error.message}") from error
    return Nic(name=given.text("name"), mac=mac.text)


def _disk(given: Fields, place: int) -> PretendedDisk:
    given.refuse_unknown(DISK)
    path = _device(given, "path")
    kind = given.choice("kind", Kind) if given.has("kind") else Kind.DISK
    if kind not in _LISTED:
        allowed = ", ".join(_LISTED)
        raise _wrong(given, "kind", f"must be one of {allowed}, not '{kind}'")
    size = given.integer("size_bytes")
    sector = _sector(given, "logical_sector_bytes", 512)
    if size % sector and kind is Kind.DISK:  # what an optical drive says need not be
        raise _wrong(given, "size_bytes", f"must be a multiple of {sector}, not {size}")
    partitions = _partitions(given, path, size)
    disk = Disk(
        path=path,
        kind=kind,
        size=size,
        logical_sector=sector,
        physical_sector=_sector(given, "physical_sector_bytes", sector),
        device=(_MAJOR, place),
        diskseq=place,
        model=_text(given, "model"),
        serial=_text(given, "serial"),
        wwn=_text(given, "wwn"),
        transport=given.choice("transport", Transport)
        if given.has("transport")
        else _transport(path),
        removable=given.optional(given.boolean, "removable", False),
        read_only=given.optional(given.boolean, "read_only", False),
        rotational=given.optional(given.boolean, "rotational", False),
        by_path=given.texts("by_path", most=_MOST, longest=_LONGEST)
        if given.has("by_path")
        else (),
        table=_text(given, "partition_table"),
        filesystem=_text(given, "filesystem"),
        label=_text(given, "label"),
        partitions=partitions,
        uses=_uses(given, path),
        virtual=given.optional(given.boolean, "virtual", False),
    )
    return PretendedDisk(disk=disk, behaviour=_behaviour(given))


def _behaviour(given: Fields) -> Behaviour:
    speed = given.optional(given.integer, "bytes_per_second")
    if speed == 0:
        raise _wrong(given, "bytes_per_second", "must be more than 0")
    return Behaviour(
        bytes_per_second=speed,
        fails_at=given.optional(given.integer, "fails_at"),
        gone_at=given.optional(given.integer, "gone_at"),
        gone_after=given.optional(given.integer, "gone_after"),
    )


def _partitions(given: Fields, disk: Path, size: int) -> tuple[Partition, ...]:
    found: list[Partition] = []
    for place, one in enumerate(
        given.many("partitions", most=_MOST) if given.has("partitions") else (), 1
    ):
        one.refuse_unknown(PARTITION)
        number = one.optional(one.integer, "number", place)
        between = "p" if disk.name[-1:].isdigit() else ""
        after = found[-1].start + found[-1].size if found else MIB
        partition = Partition(
            path=_device(one, "path") if one.has("path") else Path(f"{disk}{between}{number}"),
            number=number,
            start=one.optional(one.integer, "start_bytes", after),
            size=one.integer("size_bytes"),
            type=_text(one, "type"),
            partlabel=_text(one, "name"),
            filesystem=_text(one, "filesystem"),
            label=_text(one, "label"),
        )
        if partition.start + partition.size > size:
            end = partition.start + partition.size
            raise _wrong(one, "size_bytes", f"ends at byte {end}, and the disk at {size}")
        found.append(partition)
    return tuple(found)


def _uses(given: Fields, disk: Path) -> tuple[Use, ...]:
    found = []
    for one in given.many("uses", most=_MOST) if given.has("uses") else ():
        one.refuse_unknown(USE)
        found.append(
            Use(
                device=_device(one, "device") if one.has("device") else disk,
                what=one.text("what", most=_LONGEST),
                running_system=one.optional(one.boolean, "running_system", False),
            )
        )
    return tuple(found)


def _text(given: Fields, field: str) -> str | None:
    return given.text(field, most=_LONGEST) if given.has(field) else None


def _device(given: Fields, field: str) -> Path:
    text = given.text(field, most=_LONGEST)
    if not re.fullmatch(r"/dev/[^/]+(/[^/]+)*", text) or ".." in Path(text).parts:
        raise _wrong(given, field, f"must be a path below /dev, not '{text}'")
    return Path(text)


def _sector(given: Fields, field: str, default: int) -> int:
    found = given.optional(given.integer, field, default)
    if found < 512 or found & (found - 1) or found > MIB:
        raise _wrong(given, field, f"must be a power of two from 512 to {MIB}, not {found}")
    return found


def _transport(path: Path) -> Transport:
    return next(
        (via for start, via in _BY_NAME.items() if path.name.startswith(start)), Transport.SATA
    )


def _refuse_twice(disks: Sequence[PretendedDisk]) -> None:
    seen: set[Path] = set()
    for place, one in enumerate(disks):
        if one.disk.path in seen:
            field = f"disks[{place}].path"
            raise InvalidField(field, f"'{field}': {one.disk.path} is there twice")
        seen.add(one.disk.path)


def _wrong(given: Fields, field: str, what: str) -> InvalidField:
    return InvalidField(given.name(field), f"'{given.name(field)}' {what}")
