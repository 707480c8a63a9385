"""What sysfs and /proc know of block devices and lsblk does not say.

Every reader takes the root folder, so that a copied tree of another machine reads the same way.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512  # sysfs counts in 512-byte sectors, whatever the sector size of the disk
_OCTAL = re.compile(r"\\([0-7]{3})")
_WWID = ("naa.", "eui.", "nvme.", "uuid.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One line of /proc/self/mountinfo."""

    device: str  # "major:minor"; "0:N" where the filesystem has no device of its own
    point: str
    filesystem: str
    source: str
    options: str  # of the filesystem


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """What the kernel tells of one block device."""

    diskseq: int | None = None
    partition: int | None = None  # the number, None for a whole device
    start: int | None = None  # bytes, None for a whole device
    model: str | None = None
    serial: str | None = None
    wwn: str | None = None
    hidden: bool = False  # a path of a multipath NVMe disk
    card: bool = False  # an SD card, which the kernel does not call removable
    virtual: bool = False
    backing_file: str | None = None  # of a loop device
    backing_device: str | None = None  # "major:minor" where that file is a block device
    by_path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFacts:
    """What sysfs and /proc say at one moment."""

    devices: Mapping[str, DeviceFacts] = field(default_factory=dict)  # by kernel name
    mounts: tuple[Mount, ...] = ()
    scsi_hosts: Mapping[int, str] = field(default_factory=dict)  # number to driver

    def of(self, name: str) -> DeviceFacts:
        """Return what is known of the device with the kernel name `name`, which may be nothing."""
        return self.devices.get(name.replace("/", "!"), _NOTHING)

    def mount_of(self, path: str) -> Mount | None:
        """Return the mount that carries `path`, or None where no mount is known."""
        carrying = [
            mount
            for mount in self.mounts
            if mount.point in ("/", path) or path.startswith(mount.point + "/")
        ]
        # Of two mounts on one point the later one is on top.
        return max(reversed(carrying), key=lambda mount: len(mount.point), default=None)


_NOTHING = DeviceFacts()


def read_facts(root: Path = Path("/")) -> KernelFacts:
    """Read what the kernel says of the machine whose file tree starts at `root`."""
    links = _by_path(root)
    return KernelFacts(
        devices={
            folder.name: _device(root, folder, links.get(folder.name, ()))
            for folder in _entries(root / "sys/class/block")
        },
        mounts=tuple(read_mounts(root)),
        scsi_hosts={
            int(folder.name.removeprefix("host")): driver
            for folder in _entries(root / "sys/class/scsi_host")
            if (driver := read_text(folder / "proc_name"))
        },
    )


def read_mounts(root: Path = Path("/")) -> Iterator[Mount]:
    """Read the mounts that this process sees, in the order in which they were made."""
    for line in (_raw(root / "proc/self/mountinfo") or "").split("\n"):
        left, _, right = line.partition(" - ")
        mount, filesystem = left.split(" "), right.split(" ")
        if len(mount) >= 5 and len(filesystem) >= 3:
            yield Mount(
                device=mount[2],
                point=_unescape(mount[4]),
                filesystem=filesystem[0],
                source=_unescape(filesystem[1]),
                options=_unescape(filesystem[2]),
            )


def read_text(path: Path) -> str | None:
    """Return a small file's text without padding; None where it is missing or blank."""
    return clean(_raw(path))


def clean(text: str | None) -> str | None:
    """Return `text` without padding, None where nothing is left."""
    return (text or "").strip(" \t\r\n\0") or None


def whole_device(number: int, root: Path = Path("/")) -> tuple[str, str | None] | None:
    """Return the kernel name of the block device `number` and, for a partition, its disk's.

    None where the kernel has no such device.
    """
    folder = root / f"sys/dev/block/{os.major(number)}:{os.minor(number)}"
    if not folder.exists():
        return None
    real = folder.resolve()
    return real.name, real.parent.name if (real / "partition").exists() else None


def _device(root: Path, folder: Path, by_path: tuple[str, ...]) -> DeviceFacts:
    hardware = folder / "device"
    start = _number(folder / "start")
    backing = _backing_file(folder)
    partition = _number(folder / "partition")
    return DeviceFacts(
        diskseq=_number(folder / "diskseq"),
        partition=partition,
        start=None if start is None else start * SECTOR,
        model=read_text(hardware / "model") or read_text(hardware / "name") or _vendor(hardware),
        serial=read_text(hardware / "serial")
        or read_text(folder / "serial")
        or _vpd_serial(hardware),
        wwn=_wwid(folder) or _wwid(hardware),
        hidden=read_text(folder / "hidden") == "1",
        card=read_text(hardware / "type") == "SD",
        virtual=partition is None and not hardware.exists(),
        backing_file=backing,
        backing_device=_block_device(root, backing) if backing else None,
        by_path=by_path,
    )


def _backing_file(folder: Path) -> str | None:
    # Only the line end goes: a file's name may end in a space.
    found = _raw(folder / "loop/backing_file")
    return found.removesuffix("\n") if found else None


def _block_device(root: Path, path: str) -> str | None:
    with suppress(OSError, ValueError):
        status = os.stat(root / path.lstrip("/"))
        if stat.S_ISBLK(status.st_mode):
            return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    return None


def _vendor(hardware: Path) -> str | None:
    # A virtio disk gives a PCI number here, which names nobody.
    found = read_text(hardware / "vendor")
    return None if found and found.startswith("0x") else found


def _vpd_serial(hardware: Path) -> str | None:
    # SCSI's page 0x80: four bytes of header, then the serial number.
    with suppress(OSError):
        page = (hardware / "vpd_pg80").read_bytes()
        return clean(page[4 : 4 + int.from_bytes(page[2:4], "big")].decode("ascii", "replace"))
    return None


def _wwid(folder: Path) -> str | None:
    # "t10." names are the model and serial once more, not a world wide name.
    found = read_text(folder / "wwid")
    return found if found and found.startswith(_WWID) else None


def _by_path(root: Path) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for link in _entries(root / "dev/disk/by-path"):
        with suppress(OSError):
            found.setdefault(Path(os.readlink(link)).name, []).append(link.name)
    return {device: tuple(names) for device, names in found.items()}


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _number(path: Path) -> int | None:
    found = read_text(path)
    return int(found) if found and found.isdecimal() else None


def _raw(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "surrogateescape")
    except OSError:
        return None


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text)
