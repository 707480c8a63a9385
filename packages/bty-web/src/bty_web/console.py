"""The terminal of a command, or what stands for it: one object that a test can replace."""

from __future__ import annotations

import getpass
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TextIO

from bty_core.errors import InvalidValue

_LONGEST = 4096  # characters of a password on standard input


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
        """Write one line of talk. Whether anybody listens changes nothing."""
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
        return self.stdin.readline(_LONGEST).strip().lower() == "yes"

    def new_password(self, name: str, *, from_stdin: bool) -> str | None:
        """Return a password that was typed twice or came on standard input; None where nobody can be asked."""
        if from_stdin:
            text = self.stdin.readline(_LONGEST).rstrip("\r\n")
            if not text:
                raise InvalidValue(
                    "there is no password on standard input",
                    hint="write it as one line: printf '%s\\n' PASSWORD | bty-web … --password-stdin",
                )
            return text
        if not self.can_ask:
            return None
        first = getpass.getpass(f"password for {name}: ", self.stderr)
        if getpass.getpass("the same again: ", self.stderr) != first:
            raise InvalidValue("the two passwords differ", hint="type the same one twice")
        return first


def shown(text: str) -> str:
    """Return `text` without what a terminal would obey, its lines and tabs kept."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        for letter in text
    )
