"""What a disk is, as the kernel showed it at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Transport(StrEnum):
    """How a disk is attached."""

    NVME = "nvme"
    SATA = "sata"
    SAS = "sas"
    USB = "usb"
    VIRTIO = "virtio"
    MMC = "mmc"
    ISCSI = "iscsi"
    FC = "fc"
    OTHER = "other"


class Kind(StrEnum):
    """What kind of block device the kernel says it is."""

    DISK = "disk"
    PARTITION = "part"
    LOOP = "loop"
    ROM = "rom"
    STACKED = "stacked"  # LVM, md, dm-crypt, multipath: made of other devices
    FILE = "file"  # a regular file that stands for a disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Something that keeps a disk busy."""

    device: Path  # the disk itself, a partition of it or a device stacked on it
    what: str  # "mounted on /srv", "swap", "lvm volume vg0-root", "claimed by another program"
    running_system: bool = False  # the running system or the live medium


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition that is on a disk now."""

    path: Path
    number: int
    start: int  # bytes from the start of the disk
    size: int  # bytes
    type: str | None  # GPT type UUID or MBR type byte, as the kernel's tools print it
    partlabel: str | None
    filesystem: str | None
    label: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """One block device that may be a target."""

    path: Path
    kind: Kind
    size: int  # bytes
    logical_sector: int  # bytes
    physical_sector: int  # bytes
    device: tuple[int, int]  # major, minor; (0, 0) for a file
    diskseq: (
        int | None
    )  # grows with each attachment, so that a replaced disk is noticed; None on old kernels
    model: str | None
    serial: str | None
    wwn: str | None
    transport: Transport
    removable: bool
    read_only: bool
    rotational: bool
    by_path: tuple[str, ...]  # names in /dev/disk/by-path
    table: str | None  # "gpt", "dos" or None
    filesystem: str | None  # of the whole disk
    label: str | None  # of that filesystem
    partitions: tuple[Partition, ...]
    uses: tuple[Use, ...]
    virtual: bool = False  # no hardware behind it: a network block device, a ZFS volume

    @property
    def named_only(self) -> bool:
        """Whether only a selector that names this disk may match it."""
        return (
            self.kind is not Kind.DISK
            or self.removable
            or self.virtual
            or self.size == 0
            or self.transport is Transport.USB
        )

    @property
    def title(self) -> str:
        """What a person calls it: ``/dev/sda (Samsung SSD 870, serial S5Y1)``."""
        known = [self.model, f"serial {self.serial}" if self.serial else None]
        said = ", ".join(filter(None, known))
        return f"{self.path} ({said})" if said else str(self.path)
