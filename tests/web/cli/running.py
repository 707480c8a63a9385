"""`bty-web` in this process: words in, exit code and texts out."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from bty_web.console import Console
from bty_web.exits import Exit
from bty_web.main import main


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended and what it printed."""

    code: Exit
    out: str
    err: str

    @property
    def said(self) -> list[str]:
        return self.err.splitlines()


def bty_web(*argv: str | Path, stdin: str = "") -> Ran:
    """Run `bty-web argv` without a terminal."""
    out, err = io.StringIO(), io.StringIO()
    code = main(list(map(str, argv)), Console(stdin=io.StringIO(stdin), stdout=out, stderr=err))
    return Ran(code, out.getvalue(), err.getvalue())
