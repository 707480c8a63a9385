"""The state folder: what lies in it, and who works on it now."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bty_web.errors import BrokenSetting, ServerRunning
from bty_web.settings import FOLDERS, Settings

LOCK = "serving.lock"


def make(settings: Settings) -> list[Path]:
    """Make the state folder and the others that are not there; return those that were made.

    Raises `BrokenSetting` for one that cannot be made.
    """
    made = []
    for name in ("state_dir", *FOLDERS):
        folder: Path = getattr(settings, name)
        if folder.is_dir():
            continue
        try:
            # Only the state folder holds secrets: dnsmasq, as another user, reads some of the others.
            folder.mkdir(mode=0o700 if name == "state_dir" else 0o755, parents=True)
        except OSError as error:
            raise BrokenSetting(
                f"the folder {folder} ({name}) cannot be made: {error.strerror}",
                hint=f"make it for the user who runs bty-web, or set BTY_{name.upper()}",
            ) from error
        made.append(folder)
    return made


@contextmanager
def working(settings: Settings) -> Iterator[None]:
    """Say, for as long as this and the processes it starts live, that somebody works on the state folder.

    Raises `ServerRunning` while a backup is being restored.
    """
    with _locked(settings, fcntl.LOCK_SH, "a backup is being restored into {}", "wait for its end"):
        yield


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Keep everybody else off the state folder; raise `ServerRunning` where somebody works on it."""
    with _locked(settings, fcntl.LOCK_EX, "a server or worker runs on {}", "stop it and try again"):
        yield


@contextmanager
def _locked(settings: Settings, how: int, busy: str, hint: str) -> Iterator[None]:
    path = settings.state_dir / LOCK
    try:
        # Not closed on fork: the lock is held until the last process that inherited it has ended.
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BrokenSetting(
            f"the lock {path} cannot be made: {error.strerror}",
            hint="run bty-web as the user who owns the state folder, or set BTY_STATE_DIR",
        ) from error
    try:
        try:
            fcntl.flock(handle, how | fcntl.LOCK_NB)
        except OSError:
            raise ServerRunning(busy.format(settings.state_dir), hint=hint) from None
        yield
    finally:
        os.close(handle)
