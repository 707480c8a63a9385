"""From a selector to the disk of this machine that it means."""

from __future__ import annotations

from bty_core.disks.file_target import file_disk
from bty_core.disks.lsblk import read_disk, read_disks
from bty_core.disks.model import Disk
from bty_core.disks.select import Selector, choose


def find_disk(selector: Selector) -> Disk:
    """Return the disk or regular file that `selector` means, as it is now.

    Raises `DiskNotFound`, `DiskAmbiguous` or `NotADisk`. A path is looked at by itself, so that the
    failure can say what is there instead of a disk.
    """
    if selector.file is not None:
        return file_disk(selector.file)
    if selector.path is not None:
        return choose([read_disk(selector.path)], selector)
    return choose(read_disks(), selector)
