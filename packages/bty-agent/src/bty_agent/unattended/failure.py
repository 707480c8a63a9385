"""Why the last unattended flash of this boot ended without a reboot: left for the wizard, which shows it."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from bty_core.wire.fields import Fields, InvalidField

RUN_DIR = Path("/run/bty")
_NAME = "failure.json"
_LONG = 4000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What a person has to know. `exit_code` is how ``bty-flash-on-boot`` ended."""

    code: str
    message: str
    hint: str | None = None
    aftermath: str | None = None  # in which state the disk was left
    attempt: int | None = None
    image: str | None = None
    disk: str | None = None
    reported: bool = False  # the server knows it
    exit_code: int = 1

    @property
    def title(self) -> str:
        """One line: what happened to which attempt."""
        which = "the unattended flash" if self.attempt is None else f"attempt {self.attempt}"
        match self.code:
            case "cancelled":
                return f"{which} was cancelled: {self.message}"
            case "wizard-wanted":
                return f"the server wants a person here: {self.message}"
            case _:
                return f"{which} failed: {self.message}"

    @classmethod
    def read(cls, given: Fields) -> Self:
        """Read what `write_failure` wrote; raise `InvalidField`."""

        def text(name: str) -> str | None:
            return given.optional(lambda field: given.text(field, most=_LONG), name)

        return cls(
            code=given.text("code"),
            message=given.text("message", most=_LONG),
            hint=text("hint"),
            aftermath=text("aftermath"),
            attempt=given.optional(given.integer, "attempt"),
            image=text("image"),
            disk=text("disk"),
            reported=given.optional(given.boolean, "reported", False),
            exit_code=given.optional(given.integer, "exit_code", 1),
        )


def write_failure(failure: Failure, run_dir: Path = RUN_DIR) -> None:
    """Leave `failure` for the wizard, in place of an older one. A folder that takes nothing is no second failure."""
    file = run_dir / _NAME
    partial = file.with_name(f".{_NAME}.{os.getpid()}")
    kept = {
        name: value[:_LONG] if isinstance(value, str) else value
        for name, value in asdict(failure).items()
    }
    with suppress(OSError):
        partial.write_text(json.dumps(kept))
        partial.replace(file)


def read_failure(run_dir: Path = RUN_DIR) -> Failure | None:
    """Return what was left, or None where nothing was, or nothing that can be read."""
    try:
        return Failure.read(Fields(json.loads((run_dir / _NAME).read_text("utf-8"))))
    except (OSError, ValueError, RecursionError, InvalidField):
        return None


def forget_failure(run_dir: Path = RUN_DIR) -> None:
    """Take it away: a flash has begun, or a person has read it."""
    with suppress(OSError):
        (run_dir / _NAME).unlink()
