"""The terminal, or what stands for it: one object that a test can replace."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TextIO

from rich.console import Console as RichConsole


@dataclass
class Console:
    """Where a command reads and writes. Data goes to `stdout`, talk to `stderr`."""

    stdin: TextIO = field(default_factory=lambda: sys.stdin)
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)
    width: int | None = None  # columns; None: as wide as the terminal, 80 where there is none

    @property
    def can_ask(self) -> bool:
        """Whether a person sits at both ends."""
        return self.stdin.isatty() and self.stderr.isatty()

    @cached_property
    def out(self) -> RichConsole:
        """Standard output, for tables."""
        return self._rich(self.stdout)

    @cached_property
    def err(self) -> RichConsole:
        """Standard error, for plans, bars and messages."""
        return self._rich(self.stderr)

    def say(self, text: str = "") -> None:
        """Write a line of talk. Whether anybody listens changes nothing."""
        with suppress(OSError):
            print(text, file=self.stderr, flush=True)

    def data(self, text: str) -> None:
        """Write a line of data."""
        print(text, file=self.stdout, flush=True)

    def ask(self, question: str) -> str:
        """Ask, and return the answer as typed; empty at the end of the input."""
        print(question, end=" ", file=self.stderr, flush=True)
        return self.stdin.readline().strip()

    def _rich(self, stream: TextIO) -> RichConsole:
        width = (
            self.width if stream.isatty() or self.width else int(os.environ.get("COLUMNS") or 80)
        )
        return RichConsole(
            file=stream, width=width, highlight=False, soft_wrap=False, markup=False, emoji=False
        )
