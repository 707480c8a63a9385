"""A scratch file behind a pretended disk: the real target, on a disk that may be slow, broken or pulled out."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import replace
from pathlib import Path

from bty_agent.pretend.machine import PretendedDisk
from bty_core.disks.file_target import file_disk
from bty_core.disks.model import Disk, Partition
from bty_core.flash.target import Target
from bty_core.images.table import TABLE_BYTES, read_table


class ScratchTarget(Target):
    """Writes to the scratch file at `scratch`, and looks like the pretended disk."""

    def __init__(self, pretended: PretendedDisk, scratch: Path) -> None:
        """Open the file; it is made where it is missing."""
        super().__init__(file_disk(scratch))
        self.disk = pretended.disk
        self.size = pretended.disk.size
        self.sector = pretended.disk.logical_sector
        self.touched = False  # something was written
        self.gone = False
        self._behaviour = pretended.behaviour

    def write(self, view: memoryview, offset: int) -> None:
        self._reaches(offset, len(view))
        super().write(view, offset)
        self._takes(len(view))

    def zero(self, offset: int, length: int) -> bool:
        self._reaches(offset, length)
        return super().zero(offset, length)

    def read(self, view: memoryview, offset: int) -> int:
        self._is_there("reading back", offset)
        got = super().read(view, offset)
        self._takes(got)
        return got

    def flush(self) -> None:
        self._is_there("flushing", None)
        super().flush()

    def _reaches(self, offset: int, length: int) -> None:
        """Raise where a write of `length` bytes at `offset` meets what the disk is pretended to do."""
        end, known = offset + length, self._behaviour
        self.gone = self.gone or (known.gone_at is not None and end > known.gone_at)
        self._is_there("writing", offset)
        self.touched = True
        if known.fails_at is not None and end > known.fails_at:
            at = max(offset, known.fails_at)
            raise self._failed("writing", at, OSError(errno.EIO, os.strerror(errno.EIO)))

    def _is_there(self, doing: str, offset: int | None) -> None:
        if self.gone:
            raise self._failed(doing, offset, OSError(errno.ENODEV, os.strerror(errno.ENODEV)))

    def _takes(self, amount: int) -> None:
        if self._behaviour.bytes_per_second is not None:
            time.sleep(amount / self._behaviour.bytes_per_second)


def with_content(disk: Disk, scratch: Path) -> Disk:
    """Return `disk` with what its scratch file holds now; what is in filesystems is not looked at."""
    with scratch.open("rb") as file:
        table = read_table(file.read(TABLE_BYTES))
    between = "p" if disk.path.name[-1:].isdigit() else ""
    partitions = tuple(
        Partition(
            path=Path(f"{disk.path}{between}{one.number}"),
            number=one.number,
            start=one.start,
            size=one.size,
            type=one.type,
            partlabel=one.name,
            filesystem=None,
            label=None,
        )
        for one in (table.partitions if table else ())
    )
    kind = table.kind.value if table else None
    return replace(disk, table=kind, partitions=partitions, filesystem=None, label=None)
