"""A block device for one volume: the kernel's own where it shows one, and a loop device where it does not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

from bty_core.flash.kernel import drop_cache
from bty_core.provisioning.kernel import attach_loop
from bty_core.provisioning.partitions import Volume

_SECTOR = 512  # of sysfs, whatever the disk's
_PATIENCE = 2.0  # seconds


@contextmanager
def device_of(volume: Volume, *, sector: int, read_only: bool) -> Iterator[Path]:
    """Yield a block device that is `volume`, on a disk with sectors of `sector` bytes; raise `OSError`.

    The kernel shows no partitions of a regular file, nor of some loop devices.
    """
    shown = _shown(volume)
    if shown is not None:
        yield shown
        return
    with _opened(volume.disk, os.O_RDONLY if read_only else os.O_RDWR) as backing:
        loop, handle = attach_loop(
            backing, volume.start, volume.size, sector=sector, read_only=read_only
        )
    try:
        yield loop
    finally:
        os.close(handle)
        _wait_until_detached(loop, volume)


def settle(disk: Path) -> None:
    """Return when all that was written through partitions is on the disk, and its next reader sees it.

    Raises `OSError` where the disk does not take it.
    """
    with _opened(disk, os.O_RDONLY) as handle:
        os.fsync(handle)
        with suppress(OSError):  # a regular file has one cache
            drop_cache(handle)


def _wait_until_detached(loop: Path, volume: Volume) -> None:
    """Wait a moment for the kernel, which detaches a little after the last close; somebody else may look at it, too."""
    about = Path("/sys/block", loop.name, "loop")
    wanted = (str(volume.disk.resolve()), str(volume.start))
    until = monotonic() + _PATIENCE
    while monotonic() < until:
        try:
            now = tuple((about / name).read_text().strip() for name in ("backing_file", "offset"))
        except OSError:
            return
        if now != wanted:
            return
        sleep(0.01)


def _shown(volume: Volume) -> Path | None:
    if not volume.disk.is_block_device():
        return None
    if volume.number is None:
        return volume.disk
    node = Path(str(volume))
    known = Path("/sys/class/block", node.name)
    try:
        start, size = (int((known / name).read_text()) * _SECTOR for name in ("start", "size"))
    except (OSError, ValueError):
        return None
    same = (start, size) == (volume.start, volume.size) and node.is_block_device()
    return node if same else None


@contextmanager
def _opened(path: Path, how: int) -> Iterator[int]:
    handle = os.open(path, how | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)
