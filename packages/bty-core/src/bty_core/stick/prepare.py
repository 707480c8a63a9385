"""Making the partition for images: from what is on the stick, never from what somebody remembers.

A partition that is there is never made again, and a filesystem only where there is none. The order makes
each step safe to lose power in: the place is cleared before there is a partition, and the first MiB of the
filesystem, which makes it one, comes last.
"""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bty_core import proc
from bty_core.errors import CommandFailed, WriteFailed
from bty_core.flash.kernel import add_partition, device_size
from bty_core.stick.errors import StickOccupied
from bty_core.stick.layout import IMAGES_NAME, IMAGES_TYPE, Layout, read_layout
from bty_core.values import MIB

_TIMEOUT = 120.0
_PATIENCE = 10.0  # seconds for the kernel to show a new partition
_NOTHING_FOUND, _SEVERAL_FOUND = 2, 8
_ABOUT = ("DEV", "PART_ENTRY_")  # what blkid says of the device, not of what it holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The partition for images, ready to be mounted, and what was done for it."""

    partition: Path
    size: int  # bytes
    made_partition: bool
    made_filesystem: bool


def prepare(disk: Path, *, fresh: bool = False) -> Prepared:
    """Make the partition for images on the stick `disk` what it should be. Needs root.

    What it already is stays, so this can be called at each start. An exFAT of the same name that an
    earlier life of the stick left at this very place is taken over with its files, unless the stick
    is `fresh`: written by somebody who was told that all on it goes. Raises `NotAStick`, `StickOccupied`,
    `WriteFailed`, or `CommandFailed`.
    """
    with _opened(disk) as handle:
        size = device_size(handle)
        layout = read_layout(disk, size)
        if not layout.made:
            if fresh or not _left_behind(layout):
                _clear(handle, layout)
            _make_partition(layout)
            os.fsync(handle)
        _show_partition(handle, layout)
    holds = _probe(layout.node)
    if holds.get("TYPE") == "exfat":
        return _prepared(layout, made_filesystem=False)
    if holds or not _is_blank(layout.node):
        what = holds.get("TYPE") or holds.get("PTTYPE") or "data that is no filesystem"
        raise StickOccupied(
            f"{layout.node} ({IMAGES_NAME}) holds {what}, and is left alone",
            hint=f"if nothing of it is needed: mkfs.exfat -L {IMAGES_NAME} {layout.node}",
        )
    _make_filesystem(layout)
    return _prepared(layout, made_filesystem=True)


def _prepared(layout: Layout, *, made_filesystem: bool) -> Prepared:
    return Prepared(
        partition=layout.node,
        size=layout.size,
        made_partition=not layout.made,
        made_filesystem=made_filesystem,
    )


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise WriteFailed(f"{path} cannot be written to: {error.strerror}") from error
    try:
        yield handle
    except OSError as error:
        raise WriteFailed(
            f"{path} does not take what is written to it: {error.strerror}",
            hint="try another port, or another stick",
        ) from error
    finally:
        os.close(handle)


def _left_behind(layout: Layout) -> bool:
    """Whether the free area begins with the filesystem that the stick's images were on before it was written anew."""
    found = _probe(layout.disk, "--offset", str(layout.offset), "--size", str(layout.size))
    fits = int(found.get("FSSIZE") or 0) <= layout.size
    return (found.get("TYPE"), found.get("LABEL")) == ("exfat", IMAGES_NAME) and fits


def _clear(handle: int, layout: Layout) -> None:
    os.pwrite(handle, bytes(MIB), layout.offset)
    os.fsync(handle)


def _make_partition(layout: Layout) -> None:
    entry = (
        f"start={layout.area.start}, size={layout.area.sectors}, "
        f'type={IMAGES_TYPE}, name="{IMAGES_NAME}"\n'
    )
    # The running system is on this disk: the kernel is told of the new partition alone.
    append = ["sfdisk", "--quiet", "--append", "--no-reread", "--no-tell-kernel"]
    proc.run([*append, str(layout.disk)], timeout=_TIMEOUT, stdin=entry.encode())


def _show_partition(handle: int, layout: Layout) -> None:
    """Have the kernel know the partition, and wait for its device."""
    known = Path("/sys/class/block", layout.node.name)
    if not known.exists():
        try:
            add_partition(handle, layout.number, layout.offset, layout.size)
        except OSError as error:
            if error.errno != errno.EBUSY:  # somebody else was faster
                raise
    until = time.monotonic() + _PATIENCE
    while not (known.exists() and layout.node.is_block_device()):
        if time.monotonic() > until:
            raise CommandFailed(f"the kernel does not show {layout.node}")
        time.sleep(0.1)


def _is_blank(node: Path) -> bool:
    with _opened(node) as handle:
        return not any(os.pread(handle, MIB, 0))


def _make_filesystem(layout: Layout) -> None:
    with tempfile.TemporaryDirectory(prefix="bty-") as folder:
        model = Path(folder, "exfat")
        with model.open("wb") as file:
            file.truncate(layout.size)
        proc.run(["mkfs.exfat", "-L", IMAGES_NAME, model], timeout=_TIMEOUT)
        with model.open("rb") as source, _opened(layout.node) as target:
            for start, end in _data(source.fileno(), layout.size):
                _copy(source.fileno(), target, max(start, MIB), end)
            os.fsync(target)
            _copy(source.fileno(), target, 0, MIB)
            os.fsync(target)


def _data(handle: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of a file that are no holes."""
    at = 0
    while at < size:
        try:
            start = os.lseek(handle, at, os.SEEK_DATA)
        except OSError:  # nothing but a hole is left
            return
        at = os.lseek(handle, start, os.SEEK_HOLE)
        yield start, at


def _copy(source: int, target: int, start: int, end: int) -> None:
    at = start
    while at < end:
        at += os.pwrite(target, os.pread(source, min(MIB, end - at), at), at)


def _probe(path: Path, *where: str) -> dict[str, str]:
    said = proc.run(
        ["blkid", "--probe", "--output", "export", *where, path],
        timeout=_TIMEOUT,
        ok=(0, _NOTHING_FOUND, _SEVERAL_FOUND),
    )
    pairs = (line.partition("=") for line in said.splitlines())
    return {key: value for key, _, value in pairs if value and not key.startswith(_ABOUT)}
