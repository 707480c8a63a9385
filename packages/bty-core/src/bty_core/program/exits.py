"""The exit codes of all programs, a contract with scripts, and which failure gets which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from textwrap import wrap
from types import MappingProxyType

from bty_core import errors


class Exit(IntEnum):
    """How a command ended. A number means the same everywhere; each program says it in its own words."""

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


Meanings = Mapping[Exit, str]

# By family; a subclass that is not listed ends like its parent.
BY_ERROR: Mapping[type[errors.BtyError], Exit] = MappingProxyType(
    {
        errors.InvalidValue: Exit.USAGE,
        errors.NeedsRoot: Exit.NEEDS_ROOT,
        errors.ProgramMissing: Exit.PROGRAM_MISSING,
        errors.Refused: Exit.REFUSED,
        errors.ImageCorrupt: Exit.INTEGRITY,
        errors.VerifyFailed: Exit.INTEGRITY,
        errors.ImageUnavailable: Exit.UNREACHABLE,
        errors.WriteFailed: Exit.WRITE_FAILED,
        errors.ProvisioningFailed: Exit.PROVISIONING_FAILED,
        errors.Cancelled: Exit.INTERRUPTED,
    }
)


def exit_for(
    error: errors.BtyError, by_error: Mapping[type[errors.BtyError], Exit] = BY_ERROR
) -> Exit:
    """Return the exit code of a failure."""
    return next((by_error[kind] for kind in type(error).__mro__ if kind in by_error), Exit.BUG)


def exit_codes(meanings: Meanings, codes: Iterable[Exit] | None = None) -> str:
    """Return exit codes and what they mean, in 80 columns: `codes`, or all that a program has."""
    lines = ["exit codes:"]
    for code in meanings if codes is None else codes:
        lines += wrap(f"{code:>5}  {meanings[code]}", 79, subsequent_indent=" " * 7)
    return "\n".join(lines)
