"""The disks of this machine: lsblk's JSON, which nobody else reads, and what the kernel adds."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bty_core import proc
from bty_core.disks.model import Disk, Kind, Partition, Transport, Use
from bty_core.disks.signatures import with_signatures
from bty_core.disks.sysfs import SECTOR, DeviceFacts, KernelFacts, clean, read_facts, whole_device
from bty_core.disks.tree import Node, Tree
from bty_core.errors import CommandFailed, DiskNotFound, NotADisk

# Only columns that util-linux 2.38 has. PARTN and DISK-SEQ came later and are read from sysfs.
COLUMNS = (
    "NAME,KNAME,PKNAME,PATH,MAJ:MIN,TYPE,SIZE,START,RO,RM,ROTA,LOG-SEC,PHY-SEC,MODEL,SERIAL,WWN,TRAN,SUBSYSTEMS,HCTL,"
    "MOUNTPOINTS,FSTYPE,LABEL,PTTYPE,PARTTYPE,PARTLABEL"
)
_MOMENT = 0.3  # seconds
_TIMEOUT = 60  # seconds; a disk that is dying answers late
_MMC_PARTITION = re.compile(r"(mmcblk\d+)(?:boot\d+|rpmb|gp\d+)")
_MEMORY = re.compile(r"(?:zram|ram)\d+")
_TRAILING = re.compile(r"(\d+)$")

_TRANSPORTS = {
    "nvme": Transport.NVME,
    "sata": Transport.SATA,
    "ata": Transport.SATA,  # parallel ATA, which virtual machines still have
    "sas": Transport.SAS,
    "usb": Transport.USB,
    "virtio": Transport.VIRTIO,
    "mmc": Transport.MMC,
    "iscsi": Transport.ISCSI,
    "fc": Transport.FC,
    "fcoe": Transport.FC,
}
_BUSES = ("nvme", "virtio", "mmc")
# RAID controllers and adapters that show SAS disks without saying so.
_SAS_DRIVERS = frozenset(
    {"megaraid_sas", "mpt2sas", "mpt3sas", "mpi3mr", "hpsa", "smartpqi", "aacraid", "arcmsr"}
)


def read_disks() -> list[Disk]:
    """Return the disks of this machine in the order of lsblk, with everything that keeps them busy.

    Partitions, stacked devices and compressed memory are not in the list. As root, a disk without
    any other use is opened exclusively for a moment, which shows whether another program has
    claimed it.
    """
    found = parse(_lsblk(), facts=read_facts())
    return [with_signatures(_with_claims(disk)) for disk in found]


def read_disk(path: Path) -> Disk:
    """Return the one block device that `path`, or the link at `path`, names.

    Raises `DiskNotFound` where there is nothing, and `NotADisk` where there is something that is
    not a whole block device. A stacked device is returned, with `Kind.STACKED`.
    """
    number = _device_number(path)
    found = whole_device(number)
    if found is None:
        raise DiskNotFound(f"{path} has no device behind it", hint="list the disks: bty disks")
    name, parent = found
    if parent:
        whole = Path("/dev", parent.replace("!", "/"))
        raise NotADisk(
            f"{path} is a partition of {whole}", hint=f"write {whole} to overwrite the whole disk"
        )
    refuse_name(path, name)
    facts = read_facts()
    rows = _rows(_lsblk())
    row = rows.get(name.replace("!", "/"))
    if row is None:
        raise DiskNotFound(
            f"{path} is empty: it has no medium, or no file behind it",
            hint="list the disks: bty disks",
        )
    return with_signatures(_with_claims(_disk(row, rows, _tree(rows, facts), facts)))


def parse(text: str, *, facts: KernelFacts) -> list[Disk]:
    """Return the disks in the JSON of lsblk, nested or flat, with sizes as numbers or as text."""
    rows = _rows(text)
    tree = _tree(rows, facts)
    disks = (
        _disk(row, rows, tree, facts)
        for name, row in rows.items()
        if not tree.nodes[name].parents and not _left_out(name, row, facts.of(name))
    )
    return [disk for disk in disks if disk.kind is not Kind.STACKED]


def claimed(path: Path) -> bool:
    """Return whether another program has the block device `path` for itself.

    That is a filesystem, an array or a flasher. Only root can tell; for others the answer is False.
    """
    until = time.monotonic() + _MOMENT
    while True:
        try:
            opened = os.open(path, os.O_RDONLY | os.O_EXCL | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as failure:
            if failure.errno != errno.EBUSY:
                return False
            # Somebody else may just be asking the same.
            if time.monotonic() > until:
                return True
            time.sleep(0.02)
        else:
            os.close(opened)
            return False


def _lsblk() -> str:
    return proc.run(["lsblk", "--bytes", "--json", "--tree", "-o", COLUMNS], timeout=_TIMEOUT)


def _device_number(path: Path) -> int:
    """Return the device number of the block device at `path`, or say what is there instead."""
    try:
        real = path.resolve(strict=True)
        status = real.stat()
    except (FileNotFoundError, NotADirectoryError):
        where = (
            f"{path} is a link to {os.readlink(path)}, which is not there"
            if path.is_symlink()
            else f"there is no {path}"
        )
        raise DiskNotFound(where, hint="list the disks: bty disks") from None
    except (OSError, RuntimeError) as failure:
        raise NotADisk(f"{path} cannot be followed: {_reason(failure)}") from None
    if stat.S_ISBLK(status.st_mode):
        return status.st_rdev
    if stat.S_ISREG(status.st_mode):
        raise NotADisk(
            f"{path} is a regular file", hint=f"write file:{path} to flash a regular file"
        )
    if stat.S_ISDIR(status.st_mode):
        raise NotADisk(f"{path} is a folder", hint="list the disks: bty disks")
    if stat.S_ISCHR(status.st_mode):
        hint = (
            f"the disk of this controller is {real}n1"
            if re.fullmatch(r"/dev/nvme\d+", str(real))
            else None
        )
        raise NotADisk(f"{path} is a character device", hint=hint or "list the disks: bty disks")
    raise NotADisk(f"{path} is not a block device", hint="list the disks: bty disks")


def _reason(failure: Exception) -> str:
    # Before 3.13 a loop of links was a RuntimeError with the path in its text.
    return (failure.strerror or "" if isinstance(failure, OSError) else "") or os.strerror(
        errno.ELOOP
    )


def refuse_name(path: Path, name: str) -> None:
    """Raise `NotADisk` where the kernel's name for the device at `path` says that it is no disk of its own."""
    if _MEMORY.fullmatch(name):
        raise NotADisk(f"{path} is memory, not a disk", hint="list the disks: bty disks")
    if found := _MMC_PARTITION.fullmatch(name):
        raise NotADisk(
            f"{path} is a hardware partition of the eMMC /dev/{found[1]}",
            hint=f"write /dev/{found[1]}",
        )


def _rows(text: str) -> dict[str, Mapping[str, Any]]:
    """Return lsblk's rows by kernel name, each with ``parents`` and ``children``."""
    if not text.strip():
        return {}
    try:
        top = json.loads(text)["blockdevices"]
        rows: dict[str, dict[str, Any]] = {}
        for row, parent in _walk(top, None):
            known = rows.setdefault(row["kname"], {**row, "parents": [], "children": []})
            above = parent or row.get("pkname")
            if above and above not in known["parents"]:
                known["parents"].append(above)
        for name, row in rows.items():
            row["parents"] = [parent for parent in row["parents"] if parent in rows]
            for parent in row["parents"]:
                rows[parent]["children"].append(name)
    except (ValueError, KeyError, TypeError, AttributeError) as failure:
        raise CommandFailed(
            f"lsblk answered something that cannot be read: {failure!r}"
        ) from failure
    return dict(rows)


def _walk(
    rows: list[dict[str, Any]], parent: str | None
) -> Iterator[tuple[dict[str, Any], str | None]]:
    for row in rows:
        yield row, parent
        yield from _walk(row.get("children") or [], row["kname"])


def _tree(rows: Mapping[str, Mapping[str, Any]], facts: KernelFacts) -> Tree:
    nodes = {
        name: Node(
            name=name,
            path=_path(row),
            type=_text(row, "type") or "",
            number=_text(row, "maj:min") or "",
            mountpoints=_mountpoints(row),
            children=row["children"],
            parents=row["parents"],
        )
        for name, row in rows.items()
    }
    return Tree(nodes, facts)


def _left_out(name: str, row: Mapping[str, Any], facts: DeviceFacts) -> bool:
    empty_slot = facts.virtual and not _number(row, "size")
    return (
        bool(_MEMORY.fullmatch(name) or _MMC_PARTITION.fullmatch(name))
        or facts.hidden
        or empty_slot
    )


def _disk(
    row: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]], tree: Tree, facts: KernelFacts
) -> Disk:
    name = str(row["kname"])
    known = facts.of(name)
    node = tree.nodes[name]
    major, _, minor = node.number.partition(":")
    kind = _kind(node, tree)
    return Disk(
        path=node.path,
        kind=kind,
        size=_number(row, "size") or 0,
        logical_sector=_number(row, "log-sec") or SECTOR,
        physical_sector=_number(row, "phy-sec") or _number(row, "log-sec") or SECTOR,
        device=(int(major or 0), int(minor or 0)),
        diskseq=known.diskseq,
        model=_text(row, "model") or known.model,
        serial=_text(row, "serial") or known.serial,
        wwn=_text(row, "wwn") or known.wwn,
        transport=_transport(row, facts.scsi_hosts),
        removable=_flag(row, "rm") or known.card,
        read_only=_flag(row, "ro"),
        rotational=_flag(row, "rota"),
        by_path=known.by_path,
        table=_text(row, "pttype"),
        filesystem=_text(row, "fstype"),
        label=_text(row, "label"),
        partitions=tuple(
            sorted(
                (
                    _partition(rows[child], facts.of(child))
                    for child in node.children
                    if tree.nodes[child].partition
                ),
                key=lambda partition: partition.start,
            )
        ),
        uses=tree.uses(name),
        # A loop device and a stack say so by their kind.
        virtual=known.virtual and kind is Kind.DISK,
    )


def _kind(node: Node, tree: Tree) -> Kind:
    if node.partition:
        return Kind.PARTITION
    # A loop device over a disk is one more way to write that disk.
    if node.stacked or tree.below_loop(node):
        return Kind.STACKED
    return {"loop": Kind.LOOP, "rom": Kind.ROM, "disk": Kind.DISK}.get(node.type, Kind.STACKED)


def _partition(row: Mapping[str, Any], facts: DeviceFacts) -> Partition:
    trailing = _TRAILING.search(str(row["kname"]))
    return Partition(
        path=_path(row),
        number=facts.partition or (int(trailing[1]) if trailing else 0),
        start=facts.start if facts.start is not None else (_number(row, "start") or 0) * SECTOR,
        size=_number(row, "size") or 0,
        type=_text(row, "parttype"),
        partlabel=_text(row, "partlabel"),
        filesystem=_text(row, "fstype"),
        label=_text(row, "label"),
    )


def _transport(row: Mapping[str, Any], scsi_hosts: Mapping[int, str]) -> Transport:
    said = (_text(row, "tran") or "").lower()
    buses = (_text(row, "subsystems") or "").split(":")
    if "usb" in buses:
        return Transport.USB
    if said in _TRANSPORTS:
        return _TRANSPORTS[said]
    for bus in _BUSES:
        if bus in buses:
            return _TRANSPORTS[bus]
    host = (_text(row, "hctl") or "").partition(":")[0]
    if host.isdecimal() and scsi_hosts.get(int(host)) in _SAS_DRIVERS:
        return Transport.SAS
    return Transport.OTHER


def _with_claims(disk: Disk) -> Disk:
    if disk.uses or disk.kind not in (Kind.DISK, Kind.LOOP) or not claimed(disk.path):
        return disk
    held = [partition.path for partition in disk.partitions if claimed(partition.path)]
    # When the whole disk is claimed, every partition of it is.
    culprits = held if 0 < len(held) < len(disk.partitions) else [disk.path]
    return replace(
        disk, uses=tuple(Use(device=path, what="claimed by another program") for path in culprits)
    )


def _path(row: Mapping[str, Any]) -> Path:
    return Path(_text(row, "path") or f"/dev/{row['kname']}")


def _mountpoints(row: Mapping[str, Any]) -> tuple[str, ...]:
    found = row.get("mountpoints") or [row.get("mountpoint")]
    return tuple(point for point in found if point)


def _text(row: Mapping[str, Any], key: str) -> str | None:
    found = row.get(key)
    return None if found is None else clean(str(found))


def _number(row: Mapping[str, Any], key: str) -> int | None:
    found = row.get(key)
    return None if found is None or found == "" else int(found)


def _flag(row: Mapping[str, Any], key: str) -> bool:
    # Old versions write "0" and "1".
    return row.get(key) in (True, "1", 1)
