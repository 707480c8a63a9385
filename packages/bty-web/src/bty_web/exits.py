"""What the exit codes mean to a script that runs ``bty-web``, and which failures of a server get which."""

from __future__ import annotations

from bty_core.errors import BtyError
from bty_core.program import exits
from bty_core.program.exits import Exit
from bty_web.errors import BackupBroken, BrokenSetting, DatabaseBroken, NoRoom, NotFound

__all__ = ["MEANINGS", "Exit", "exit_for"]

MEANINGS = {
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

BY_ERROR = {
    **exits.BY_ERROR,
    BackupBroken: Exit.INTEGRITY,
    BrokenSetting: Exit.REFUSED,
    DatabaseBroken: Exit.UNREACHABLE,
    NoRoom: Exit.WRITE_FAILED,
    NotFound: Exit.REFUSED,
}


def exit_for(error: BtyError) -> Exit:
    """Return the exit code of a failure."""
    return exits.exit_for(error, BY_ERROR)
