"""A regular file that stands for a disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bty_core.disks.model import Disk, Kind, Transport, Use
from bty_core.disks.sysfs import SECTOR, read_facts
from bty_core.errors import DiskNotFound, NotADisk


def file_disk(path: Path, *, root: Path = Path("/")) -> Disk:
    """Describe the regular file at `path` as a disk; its size is 0 while it does not exist.

    Raises `NotADisk` for anything that exists and is not a regular file, and `DiskNotFound` where
    its folder is missing. The file is neither made nor opened. `root` is where sysfs is.
    """
    real = Path(os.path.realpath(path))
    try:
        status = real.stat()
    except FileNotFoundError:
        if not real.parent.is_dir():
            raise DiskNotFound(
                f"{path} cannot be made: there is no folder {real.parent}",
                hint="make the folder first",
            ) from None
        return _described(real, size=0, read_only=not os.access(real.parent, os.W_OK), uses=())
    except OSError as failure:
        raise NotADisk(f"{path} cannot be looked at: {failure.strerror}") from None
    if stat.S_ISBLK(status.st_mode):
        raise NotADisk(
            f"{path} is a block device, not a regular file", hint=f"write {path} without file:"
        )
    if stat.S_ISDIR(status.st_mode):
        raise NotADisk(
            f"{path} is a folder, not a regular file",
            hint=f"name a file in it: file:{path}/disk.img",
        )
    if not stat.S_ISREG(status.st_mode):
        raise NotADisk(
            f"{path} is not a regular file",
            hint="name a regular file, or one that is not there yet",
        )
    return _described(
        real, size=status.st_size, read_only=not os.access(real, os.W_OK), uses=_loops(real, root)
    )


def _described(path: Path, *, size: int, read_only: bool, uses: tuple[Use, ...]) -> Disk:
    return Disk(
        path=path,
        kind=Kind.FILE,
        size=size,
        logical_sector=SECTOR,
        physical_sector=SECTOR,
        device=(0, 0),
        diskseq=None,
        model=None,
        serial=None,
        wwn=None,
        transport=Transport.OTHER,
        removable=False,
        read_only=read_only,
        rotational=False,
        by_path=(),
        table=None,
        filesystem=None,
        label=None,
        partitions=(),
        uses=uses,
    )


def _loops(path: Path, root: Path) -> tuple[Use, ...]:
    return tuple(
        Use(device=Path("/dev", name), what="backing file of a loop device")
        for name, facts in read_facts(root).devices.items()
        if facts.backing_file == str(path)
    )
