"""``bty-web`` and ``python -m bty_web``."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

from bty_web.console import Console
from bty_web.main import main


def run() -> None:
    """Run the program and leave with its exit code."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A name that the locale cannot spell is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    code = main(sys.argv[1:], Console())
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # Nobody reads it any more; Python would try again at the end, and make that the exit code.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    raise SystemExit(code)


def _open_what_is_closed() -> None:
    """Give a standard stream that the caller closed its number back, so that no database is opened under it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))


if __name__ == "__main__":
    run()
