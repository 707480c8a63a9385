"""What is on a disk, asked of the disk itself where no udev has looked before."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bty_core import proc
from bty_core.disks.model import Disk, Partition
from bty_core.errors import CommandFailed, ProgramMissing

_TIMEOUT = 20  # seconds; a disk that is dying answers late
_NOTHING_FOUND, _SEVERAL_FOUND = 2, 8


def with_signatures(disk: Disk, *, udev: Path = Path("/run/udev/data")) -> Disk:
    """Return `disk` with table, filesystems and labels as blkid finds them.

    lsblk takes these from udev's database; in a container or a small live environment there is
    none. Without root, or without blkid, the disk is returned as it is.
    """
    if udev.is_dir() or disk.table or disk.filesystem or not disk.size:
        return disk
    found = _probe(disk.path)
    return replace(
        disk,
        table=found.get("PTTYPE"),
        filesystem=found.get("TYPE"),
        label=found.get("LABEL"),
        partitions=tuple(_partition(each) for each in disk.partitions),
    )


def _partition(partition: Partition) -> Partition:
    found = _probe(partition.path)
    return replace(partition, filesystem=found.get("TYPE"), label=found.get("LABEL"))


def _probe(path: Path) -> dict[str, str]:
    with suppress(CommandFailed, ProgramMissing):
        said = proc.run(
            ["blkid", "--probe", "--output", "export", path],
            timeout=_TIMEOUT,
            ok=(0, _NOTHING_FOUND, _SEVERAL_FOUND),
        )
        pairs = (line.partition("=") for line in said.splitlines())
        return {key: value.replace("\\ ", " ") for key, _, value in pairs if value}
    return {}
