"""The exit codes of ``bty-web``, the same numbers as those of ``bty``, and which failure gets which."""

from __future__ import annotations

from enum import IntEnum

from bty_core import errors
from bty_web.errors import BackupBroken, BrokenSetting, DatabaseBroken, NoRoom, NotFound


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    BUG = 1
    USAGE = 2
    NEEDS_ROOT = 3
    PROGRAM_MISSING = 4
    REFUSED = 5
    INTEGRITY = 6
    UNREACHABLE = 7
    WRITE_FAILED = 8
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """What it tells a script."""
        return _MEANINGS[self]


_MEANINGS = {
    Exit.DONE: "done",
    Exit.BUG: "a bug in bty, or something unforeseen",
    Exit.USAGE: "the command was not understood, or a value in it cannot be",
    Exit.NEEDS_ROOT: "root is needed",
    Exit.PROGRAM_MISSING: "a program is missing; the message names it and its package",
    Exit.REFUSED: "refused: a setting is broken, or things are not in a state in which it can be done",
    Exit.INTEGRITY: "wrong digest, or a truncated or damaged image or backup",
    Exit.UNREACHABLE: "the database, or the server that has the image, cannot be reached or used",
    Exit.WRITE_FAILED: "a file could not be written",
    Exit.INTERRUPTED: "interrupted",
}

# By family; a subclass that is not listed ends like its parent.
BY_ERROR: dict[type[errors.BtyError], Exit] = {
    errors.InvalidValue: Exit.USAGE,
    errors.NeedsRoot: Exit.NEEDS_ROOT,
    errors.ProgramMissing: Exit.PROGRAM_MISSING,
    errors.Refused: Exit.REFUSED,
    errors.ImageCorrupt: Exit.INTEGRITY,
    errors.ImageUnavailable: Exit.UNREACHABLE,
    errors.WriteFailed: Exit.WRITE_FAILED,
    errors.Cancelled: Exit.INTERRUPTED,
    BackupBroken: Exit.INTEGRITY,
    BrokenSetting: Exit.REFUSED,
    DatabaseBroken: Exit.UNREACHABLE,
    NoRoom: Exit.WRITE_FAILED,
    NotFound: Exit.REFUSED,
}


def exit_for(error: errors.BtyError) -> Exit:
    """Return the exit code of a failure."""
    return next((BY_ERROR[kind] for kind in type(error).__mro__ if kind in BY_ERROR), Exit.BUG)
