"""The terminal, or what stands for it: one object that a test can replace."""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from textwrap import TextWrapper
from typing import TYPE_CHECKING, TextIO

from bty_core.program.console import shown

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

_WIDTH = 80  # columns, where nobody says
_LINES = ("━", "─")
_ASCII = ("#", ".")
# Their fonts have the characters of an old PC or a VT, whatever the locale says.
_PLAIN_TERMINALS = ("linux", "vt", "ansi", "cons")


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

    @property
    def can_draw(self) -> bool:
        """Whether standard error is a terminal on which a line can be drawn again."""
        return self.stderr.isatty() and not self.err.is_dumb_terminal

    @property
    def bar_glyphs(self) -> tuple[str, str]:
        """What bars are made of here: done, to do. They differ without colour too."""
        if os.environ.get("TERM", "").startswith(_PLAIN_TERMINALS):
            return _ASCII
        try:
            "".join(_LINES).encode(self.stderr.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return _ASCII
        return _LINES

    @cached_property
    def err(self) -> RichConsole:
        """Standard error, for bars."""
        return self._rich(self.stderr)

    def say(self, text: str = "", *, indent: int = 0) -> None:
        """Write lines of talk, wrapped on a terminal. Whether anybody listens changes nothing."""
        with suppress(OSError):
            print(self._wrapped(text, self.stderr, indent), file=self.stderr, flush=True)

    def data(self, text: str) -> None:
        """Write lines of data, as they are."""
        print(shown(text), file=self.stdout, flush=True)

    def page(self, text: str, *, indent: int = 0) -> None:
        """Write lines for people to standard output, wrapped on a terminal."""
        print(self._wrapped(text, self.stdout, indent), file=self.stdout, flush=True)

    def ask(self, question: str) -> str:
        """Ask, and return the answer as typed; empty at the end of the input."""
        print(shown(question), end=" ", file=self.stderr, flush=True)
        try:
            answer = self.stdin.readline()
        except UnicodeDecodeError:
            answer = "\n"
        except KeyboardInterrupt:
            self.say()  # what follows is not about the answer
            raise
        if not answer.endswith("\n"):
            self.say()
        return answer.strip()

    @contextmanager
    def quiet_keys(self) -> Iterator[None]:
        """Keep what is typed meanwhile off the terminal, where it would break a drawn line."""
        terminal = self._own_terminal()
        if terminal is None:
            yield
            return
        before = termios.tcgetattr(terminal)
        quiet = [*before]
        quiet[3] &= ~termios.ECHO
        termios.tcsetattr(terminal, termios.TCSADRAIN, quiet)
        try:
            yield
        finally:
            with suppress(OSError, termios.error):
                if self._own_terminal() is not None:
                    termios.tcsetattr(terminal, termios.TCSADRAIN, before)

    def _own_terminal(self) -> int | None:
        """Return the terminal, unless this is a background job, which the kernel stops for changing it."""
        try:
            terminal = self.stderr.fileno()
            return terminal if os.tcgetpgrp(terminal) == os.getpgrp() else None
        except (OSError, ValueError):
            return None

    def _wrapped(self, text: str, stream: TextIO, indent: int) -> str:
        """Return `text` in the width of a terminal, not broken inside words; elsewhere a line stays a line."""
        if not stream.isatty():
            return shown(text)
        width = self._rich(stream).width
        wrapper = TextWrapper(
            width=max(width, indent + 20),
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        return "\n".join(wrapper.fill(line) for line in shown(text).split("\n"))

    def _rich(self, stream: TextIO) -> RichConsole:
        from rich.console import Console as RichConsole  # not for programs, which see no bars

        width = self.width
        if width is None and not stream.isatty():
            known = os.environ.get("COLUMNS", "")
            width = int(known) if known.isdecimal() and int(known) else _WIDTH
        return RichConsole(
            file=stream, width=width, highlight=False, soft_wrap=False, markup=False, emoji=False
        )
