"""Images, disks and plans for the steps of the wizard: values, nothing that is read or written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bty_agent.wizard.offers import Offer
from bty_core.disks.model import Disk, Kind, Partition, Transport, Use
from bty_core.events import Done
from bty_core.flash.plan import FlashPlan
from bty_core.images.file import FileSource
from bty_core.images.formats import Format
from bty_core.images.inspect import Image

GB = 10**9

DEBIAN = Offer(
    name="debian-13.img.zst",
    where="/srv/images/debian-13.img.zst",
    format="zstd",
    size=400 * 10**6,
    virtual_size=2 * GB,
    digest="ab" * 32,
    digest_origin="SHA256SUMS",
    description="Debian 13",
)
BROKEN = replace(DEBIAN, name="broken.img", problem="it is cut short")
UNKNOWN = replace(DEBIAN, name="unknown.img.gz", virtual_size=None, digest=None)


def disk(name: str = "sda", **values: Any) -> Disk:
    """Return an empty SATA disk of 500 GB, with other `values` where they are given."""
    known: dict[str, Any] = {
        "path": Path("/dev", name),
        "kind": Kind.DISK,
        "size": 500 * GB,
        "logical_sector": 512,
        "physical_sector": 4096,
        "device": (8, 0),
        "diskseq": 1,
        "model": "Samsung SSD 870",
        "serial": "S5Y1",
        "wwn": None,
        "transport": Transport.SATA,
        "removable": False,
        "read_only": False,
        "rotational": False,
        "by_path": (),
        "table": None,
        "filesystem": None,
        "label": None,
        "partitions": (),
        "uses": (),
    }
    return Disk(**{**known, **values})


ESP = Partition(
    path=Path("/dev/sda1"),
    number=1,
    start=2**20,
    size=64 * 10**6,
    type=None,
    partlabel=None,
    filesystem="vfat",
    label="ESP",
)
EMPTY = disk("sdb", serial="S5Y2")
FULL = disk("sda", table="gpt", partitions=(ESP,))
STICK = disk("sdc", transport=Transport.USB, removable=True, size=16 * GB, serial="USB1")
SYSTEM = disk(
    "sdd", uses=(Use(device=Path("/dev/sdd1"), what="mounted on /", running_system=True),)
)
SMALL = disk("sde", size=GB)
LOOP = disk("loop7", kind=Kind.LOOP)
ROM = disk("sr0", kind=Kind.ROM)
READER = disk("sdf", size=0, removable=True)
DONE = Done(
    bytes_written=GB,
    bytes_skipped=GB,
    seconds=10.0,
    sha256="ab" * 32,
    verified=True,
    table_read=True,
)


def plan(folder: Path, on: Disk = FULL) -> FlashPlan:
    """Return a plan with an image of one byte in `folder`."""
    path = folder / DEBIAN.name
    path.write_bytes(b"x")
    image = Image(
        name=DEBIAN.name,
        source=FileSource(path),
        format=Format.ZSTD,
        size=DEBIAN.size,
        virtual_size=DEBIAN.virtual_size,
        table=None,
    )
    return FlashPlan(image=image, disk=on)
