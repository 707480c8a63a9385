"""Several consoles, one flash: the first that asks owns it, the others show what it says."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bty_agent.unattended.journal import LINES
from bty_core.errors import NeedsRoot

_LOCK = "flash.lock"
_LOOK = 0.2  # seconds


@contextmanager
def ownership(run_dir: Path, who: str) -> Iterator[bool]:
    """Own the flash of this machine while the block lasts; False where somebody else does.

    The kernel gives it back when the process ends, however it ends. Raises `NeedsRoot` where
    `run_dir` cannot be used.
    """
    try:
        run_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
        handle = os.open(run_dir / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise NeedsRoot(
            f"{run_dir} cannot be used: {error.strerror}",
            hint="run it as root, or name another folder with --run-dir",
        ) from error
    try:
        mine = _take(handle, fcntl.LOCK_EX)
        if mine:
            os.ftruncate(handle, 0)
            os.pwrite(handle, who.encode(), 0)
            with suppress(OSError):  # what an earlier flash said is none of this one's
                (run_dir / LINES).unlink()
        yield mine
    finally:
        os.close(handle)


def owner_came(run_dir: Path, patience: float) -> bool:
    """Wait until somebody owns or has owned the flash of this machine; False where `patience` (seconds) ends first.

    The lock is left alone: whoever tried it could keep the owner from getting it.
    """
    until = time.monotonic() + patience
    while time.monotonic() < until:
        with suppress(OSError):
            if (run_dir / _LOCK).stat().st_size:
                return True
        time.sleep(_LOOK)
    return False


def follow(run_dir: Path, say: Callable[[str], None]) -> None:
    """Say what the owner says, until it ends."""
    with (run_dir / _LOCK).open("r+b") as lock:
        who = lock.read(200).decode("utf-8", "replace")
        say(f"bty: this machine is being flashed from {who or 'another console'}, which says:")
        seen = 0
        ended = False
        while not ended:
            ended = _take(lock.fileno(), fcntl.LOCK_SH)
            for line in (lines := _said(run_dir / LINES))[seen:]:
                say(line)
            seen = len(lines)
            time.sleep(0 if ended else _LOOK)
    say(f"bty: the flash from {who or 'another console'} has ended")


def _take(handle: int, how: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(handle, how | fcntl.LOCK_NB)
        return True
    return False


def _said(file: Path) -> list[str]:
    """Return the whole lines of what was said."""
    with suppress(OSError):
        return file.read_text("utf-8", "replace").split("\n")[:-1]
    return []
