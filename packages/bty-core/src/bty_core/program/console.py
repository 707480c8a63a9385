"""The terminal of a command, or what stands for it: one object that a test can replace."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TextIO

from bty_core.errors import InvalidValue

LONGEST = 4096  # characters of an answer


@dataclass
class Console:
    """Where a command reads and writes. Data goes to `stdout`, talk to `stderr`."""

    stdin: TextIO = field(default_factory=lambda: sys.stdin)
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)

    @property
    def can_ask(self) -> bool:
        """Whether a person sits at both ends."""
        return self.stdin.isatty() and self.stderr.isatty()

    def say(self, text: str) -> None:
        """Write lines of talk. Whether anybody listens changes nothing."""
        with suppress(OSError):
            print(shown(text), file=self.stderr, flush=True)

    def data(self, text: str) -> None:
        """Write lines of data."""
        print(shown(text), file=self.stdout, flush=True)

    def confirmed(self, question: str) -> bool:
        """Ask a question that only yes answers; raise `InvalidValue` where nobody can be asked."""
        if not self.can_ask:
            raise InvalidValue("there is no terminal to ask on", hint="say --yes if you mean it")
        print(shown(f"{question} [yes/NO] "), end="", file=self.stderr, flush=True)
        return self.stdin.readline(LONGEST).strip().lower() == "yes"


def plain(text: str) -> str:
    """Return `text` fit for a terminal: a label on a disk must not move the cursor."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def shown(text: str) -> str:
    """Return `text` without what a terminal would obey, its lines and tabs kept."""
    lines = ("\t".join(map(plain, line.split("\t"))) for line in text.split("\n"))
    return "\n".join(lines)
