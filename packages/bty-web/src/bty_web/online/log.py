"""What cijoe says while a workflow runs, in a folder of each run."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

FOLDER = "runs"
_NAME = "cijoe.log"
_MOST = 64 * 1024
_STYLE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def path_of(state_dir: Path, run: int) -> Path:
    """Return where the log of a run is kept."""
    return state_dir / FOLDER / str(run) / _NAME


def tail(state_dir: Path, run: int) -> str:
    """Return the end of the log of a run, at most 64 KiB of it; nothing where there is none yet."""
    try:
        with path_of(state_dir, run).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _MOST))
            text = file.read(_MOST).decode(errors="replace")
    except OSError:
        return ""
    return _STYLE.sub("", text)


def clear(state_dir: Path, run: int) -> None:
    """Remove what only a run under way may have: its keys, its passwords, and what it works on."""
    for name in ("ssh", "inside"):
        shutil.rmtree(path_of(state_dir, run).parent / name, ignore_errors=True)


def sweep(state_dir: Path, known: set[int], under_way: set[int]) -> None:
    """Remove the folders of runs that are not known any more, and what runs that have ended left behind."""
    for path in (state_dir / FOLDER).glob("[0-9]*"):
        if not path.name.isdecimal():
            continue
        if int(path.name) not in known:
            shutil.rmtree(path, ignore_errors=True)
        elif int(path.name) not in under_way:
            clear(state_dir, int(path.name))
