"""What the exit codes mean to a script that runs the agent's programs."""

from __future__ import annotations

from bty_core.program.exits import Exit, exit_for
from bty_core.program.exits import exit_codes as _exit_codes

__all__ = ["MEANINGS", "Exit", "exit_codes", "exit_for"]

MEANINGS = {
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


def exit_codes(*codes: Exit) -> str:
    """Return exit codes and what they mean, in 80 columns."""
    return _exit_codes(MEANINGS, codes)
