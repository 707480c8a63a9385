"""The exit codes of the commands, a contract with scripts, and which failure gets which."""

from __future__ import annotations

from enum import IntEnum

from bty_core import errors


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
    PROVISIONING_FAILED = 9
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """What it tells a script."""
        return _MEANINGS[self]


_MEANINGS = {
    Exit.DONE: "done",
    Exit.BUG: "a bug in bty, or something unforeseen",
    Exit.USAGE: "the command was not understood, or nobody confirmed it",
    Exit.NEEDS_ROOT: "root is needed",
    Exit.PROGRAM_MISSING: "a program is missing; the message names it and its package",
    Exit.REFUSED: "refused, and nothing was written; the reasons are listed",
    Exit.INTEGRITY: "wrong digest, truncated or damaged image, or the disk does not hold what was written",
    Exit.UNREACHABLE: "the image or the server cannot be reached",
    Exit.WRITE_FAILED: "writing failed; the disk does not boot",
    Exit.PROVISIONING_FAILED: "provisioning, or the boot entry, failed; the image is on the disk",
    Exit.INTERRUPTED: "interrupted; if writing had begun, the disk does not boot",
}

# By family; a subclass that is not listed ends like its parent.
BY_ERROR: dict[type[errors.BtyError], Exit] = {
    errors.InvalidValue: Exit.USAGE,
    errors.NeedsRoot: Exit.NEEDS_ROOT,
    errors.ProgramMissing: Exit.PROGRAM_MISSING,
    errors.Refused: Exit.REFUSED,
    errors.ImageCorrupt: Exit.INTEGRITY,
    errors.VerifyFailed: Exit.INTEGRITY,
    errors.ImageUnavailable: Exit.UNREACHABLE,
    errors.WriteFailed: Exit.WRITE_FAILED,
    errors.Cancelled: Exit.INTERRUPTED,
}


def exit_for(error: errors.BtyError) -> Exit:
    """Return the exit code of a failure."""
    return next((BY_ERROR[kind] for kind in type(error).__mro__ if kind in BY_ERROR), Exit.BUG)
