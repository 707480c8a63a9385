"""No test opens a real disk for writing: an audit hook sees each open, whoever asks for it."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR


class RealDisk(Exception):
    """A test opened a block device for writing that is not its own."""


class Guard:
    """Forbids opening block devices for writing, except loop devices where `loops` allows them.

    The open itself fails, and the violation is kept: code that swallows the exception, or a thread
    that dies of it, does not hide it. Programs that a test starts are not seen.
    """

    def __init__(self) -> None:
        self.loops = False
        self.violations: list[str] = []

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        """Look at one audit event; raise `RealDisk` for an open that must not be."""
        if event != "open" or not isinstance(args[2], int) or not args[2] & WRITING:
            return
        try:
            found = os.stat(args[0])
        except (OSError, ValueError, TypeError):
            return
        if not stat.S_ISBLK(found.st_mode) or (self.loops and _is_loop(found.st_rdev)):
            return
        name = os.fsdecode(args[0]) if isinstance(args[0], str | bytes) else str(args[0])
        why = "is no loop device" if self.loops else "without the loop mark"
        said = (
            f"{name} opened for writing: {why}"
            if self.loops
            else f"{name} opened for writing {why}"
        )
        self.violations.append(said)
        raise RealDisk(said)

    def settle(self) -> None:
        """Raise `RealDisk` for what was tried since the last call, even if it was swallowed."""
        found, self.violations = self.violations, []
        if found:
            raise RealDisk("; ".join(found))


def _is_loop(device: int) -> bool:
    """Whether the device, or the disk that it is a partition of, is a loop device."""
    major, minor = os.major(device), os.minor(device)
    parts = Path(os.path.realpath(f"/sys/dev/block/{major}:{minor}")).parts
    # /sys/devices/virtual/block/loop0/loop0p1
    return "block" in parts and parts[parts.index("block") + 1].startswith("loop")


GUARD = Guard()


def stand_guard() -> None:
    """Start to watch. An audit hook stays until the process ends."""
    sys.addaudithook(GUARD)
