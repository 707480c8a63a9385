"""What the exit codes mean to a script that runs ``bty-media``, and which of its failures get which."""

from __future__ import annotations

from bty_core.errors import BtyError
from bty_core.program import exits
from bty_core.program.exits import Exit
from bty_media.errors import NoMirror

__all__ = ["MEANINGS", "Exit", "exit_for"]

MEANINGS = {
    Exit.DONE: "done",
    Exit.BUG: "a build that failed, a bug in bty, or something unforeseen",
    Exit.USAGE: "the command was not understood, or nobody confirmed it",
    Exit.NEEDS_ROOT: "root is needed",
    Exit.PROGRAM_MISSING: "a program is missing; the message names it and its package",
    Exit.REFUSED: "refused; the reasons are listed",
    Exit.INTEGRITY: "a build, an image or a stick does not hold what it should",
    Exit.UNREACHABLE: "a file, the mirror, the package index or the server cannot be reached",
    Exit.WRITE_FAILED: "writing failed; the stick does not boot, unless the message says so",
    Exit.INTERRUPTED: "interrupted; if writing had begun, the stick does not boot, unless the message says so",
}

BY_ERROR = {**exits.BY_ERROR, NoMirror: Exit.UNREACHABLE}


def exit_for(error: BtyError) -> Exit:
    """Return the exit code of a failure."""
    return exits.exit_for(error, BY_ERROR)
