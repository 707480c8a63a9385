"""`bty` in this process: words in, exit code and texts out."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bty_agent.console import Console
from bty_agent.exits import Exit
from bty_agent.main import main
from tests.fakes.images import MIB, disk_image


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended and what it printed."""

    code: Exit
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


class Typed(io.StringIO):
    """Standard input or error as a terminal."""

    def isatty(self) -> bool:
        return True


def bty(*argv: str | Path, answer: str | None = None, width: int = 80) -> Ran:
    """Run `bty argv` without a terminal, or with one on which a person types `answer`."""
    out = io.StringIO()
    err = io.StringIO() if answer is None else Typed()
    stdin = io.StringIO() if answer is None else Typed(answer)
    code = main(list(map(str, argv)), Console(stdin=stdin, stdout=out, stderr=err, width=width))
    return Ran(code, out.getvalue(), err.getvalue())


def small_image(folder: Path, name: str = "small.img") -> Path:
    """Make an image of 8 MiB with a GPT."""
    return disk_image(folder / name, 12 * MIB)


def lines(text: str) -> Sequence[str]:
    """Return the lines, so that a failed comparison shows the one that differs."""
    return text.splitlines()
