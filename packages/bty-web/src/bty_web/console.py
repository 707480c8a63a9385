"""The terminal of a command, or what stands for it: one object that a test can replace."""

from __future__ import annotations

import getpass
from dataclasses import dataclass

from bty_core.errors import InvalidValue
from bty_core.program import console
from bty_core.program.console import LONGEST


@dataclass
class Console(console.Console):
    """Where a command reads and writes, passwords included."""

    def new_password(self, name: str, *, from_stdin: bool) -> str | None:
        """Return a password that was typed twice or came on standard input; None where nobody can be asked."""
        if from_stdin:
            text = self.stdin.readline(LONGEST).rstrip("\r\n")
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
