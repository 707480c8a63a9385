"""How a program starts and leaves: on whatever streams its caller has left it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from typing import NoReturn


def run_program(program: Callable[[Sequence[str]], int]) -> NoReturn:
    """Run a program on the words and streams of this process; leave with its exit code."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A name that the locale cannot spell is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    code = program(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # Nobody reads it any more; Python would try again at the end, and make that the exit code.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    raise SystemExit(code)


def _open_what_is_closed() -> None:
    """Give a standard stream that the caller closed its number back, so that no disk is opened under it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))
