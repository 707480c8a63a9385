"""How far a workflow is, from the file that cijoe keeps of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FILE = "task.state"
_MOST = 1 << 20  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a workflow."""

    name: str
    id: str  # the name of its folder in the output
    number: int  # from 1
    of: int  # how many there are
    started: bool
    failed: bool

    def __str__(self) -> str:
        return f"step {self.number} of {self.of}, '{self.name}'"


def read_steps(output: Path) -> list[Step]:
    """Return the steps in their order; none where cijoe has not begun, or is writing at this moment."""
    import yaml

    try:
        state = yaml.safe_load(_read(output / _FILE))
        listed: list[dict[str, Any]] = state["steps"]
        return [
            Step(
                name=str(step["name"]),
                id=str(step.get("id", "")),
                number=number,
                of=len(listed),
                started=bool(step["status"].get("started")),
                failed=bool(step["status"].get("failed")),
            )
            for number, step in enumerate(listed, 1)
        ]
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
        yaml.YAMLError,
    ):
        return []


def last_begun(steps: Sequence[Step]) -> str:
    """Return how far it came, to be put behind a sentence: ``; it was at step 2 of 3, 'second'``, or nothing."""
    last = next((step for step in reversed(steps) if step.started), None)
    return f"; it was at {last}" if last else ""


def failed_steps(steps: Sequence[Step]) -> str:
    """Return the first step that failed and how many more did, for people; nothing where none did."""
    failed = [step for step in steps if step.failed]
    if not failed:
        return ""
    return f"{failed[0]}, and {len(failed) - 1} more" if len(failed) > 1 else str(failed[0])


def _read(path: Path) -> bytes:
    """Return what a file has, which is the workflow's: it may be a link, a pipe, or endless."""
    with open(
        os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb"
    ) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return b""
        return file.read(_MOST)
