"""The terminal that the wizard draws on: cleared for each step, and left as it was found."""

from __future__ import annotations

import os
import signal
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.text import Text

from bty_agent.console import Console
from bty_agent.wizard.screens import FAINT, STRONG, WIDTH, Line
from bty_core.program.console import plain

_SHOW_CURSOR = "\x1b[?25h"
_PRINTK = Path("/proc/sys/kernel/printk")
_QUIET = "3"  # only errors of the kernel may write over the screen


class Hangup(KeyboardInterrupt):
    """The terminal has gone, or the program is told to end: nobody can be asked any more."""


class Terminal:
    """Standard input and output, both a terminal."""

    def __init__(self, name: str = "bty") -> None:
        """`name` stands at the top of each screen."""
        self._name = name
        # Bars and talk go to standard error elsewhere; here everything is one screen.
        self.console = Console(stderr=sys.stdout)
        self.dumb = self.console.err.is_dumb_terminal or not os.environ.get("TERM")

    @property
    def columns(self) -> int:
        """How wide a line may be."""
        return max(min(self.console.err.width - 1, WIDTH), 20)

    @property
    def rows(self) -> int:
        """How many lines fit."""
        return self.console.err.height

    @property
    def ascii(self) -> bool:
        """Whether the font or the locale knows no more than ASCII."""
        return self.dumb or self.console.bar_glyphs[0] == "#"

    def draw(self, way: Sequence[tuple[str, bool]], lines: Sequence[Line]) -> int:
        """Show a step from the top of the screen; return the number of lines that are used."""
        out = self.console.err
        if not self.dumb:
            out.clear()
        out.print(self._header(way), no_wrap=True, overflow="crop")
        out.print(("-" if self.ascii else "─") * self.columns, style=FAINT)
        for style, text in lines:
            out.print(Text(plain(text), style), no_wrap=True, overflow="crop", soft_wrap=True)
        if lines:
            out.print()
        return 2 + (len(lines) + 1 if lines else 0)

    def leave(self, lines: Sequence[Line]) -> None:
        """Leave these lines as the last that is seen of the wizard."""
        if not self.dumb:
            self.console.err.clear()
        for style, text in lines:
            self.say(style, text)

    def say(self, style: str, text: str) -> None:
        """Write one more line."""
        self.console.err.print(Text(plain(text), style), soft_wrap=True)

    def _header(self, way: Sequence[tuple[str, bool]]) -> Text:
        line = Text()
        line.append(self._name, f"{STRONG} {FAINT}")
        for number, (name, here) in enumerate(way):
            line.append("   " if not number else " > ", FAINT)
            # Brackets, as not every terminal shows what is bold.
            line.append(f"[{name}]" if here else name, STRONG if here else "")
        return line


def forget_typed() -> None:
    """Drop what was typed and not read yet."""
    with suppress(OSError, termios.error, ValueError):
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


@contextmanager
def left_as_found() -> Iterator[None]:
    """Give the terminal back as it was: its settings, its cursor, and what the kernel may print on it."""
    said = _quiet_kernel()
    try:
        with same_settings():
            yield
    finally:
        if os.environ.get("TERM", "dumb") != "dumb":
            with suppress(OSError, ValueError):
                sys.stdout.write(_SHOW_CURSOR)
                sys.stdout.flush()
        if said is not None:
            with suppress(OSError):
                _PRINTK.write_text(said)


@contextmanager
def same_settings() -> Iterator[None]:
    """Have the terminal afterwards in the settings in which it is now, and in our hands."""
    before, group = None, None
    with suppress(OSError, termios.error, ValueError):
        before = termios.tcgetattr(sys.stdin.fileno())
        group = os.tcgetpgrp(sys.stdin.fileno())
    try:
        yield
    finally:
        if before is not None and group is not None:
            # A shell that was killed leaves the terminal with a group that has ended, and the kernel would stop us.
            ignored = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            with suppress(OSError, termios.error, ValueError):
                os.tcsetpgrp(sys.stdin.fileno(), group)
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, before)
            signal.signal(signal.SIGTTOU, ignored)


def _quiet_kernel() -> str | None:
    """Keep messages of the kernel off its own console, where they would tear the screen; return what was set."""
    with suppress(OSError, ValueError):
        name = os.ttyname(sys.stdout.fileno())
        if not name.startswith("/dev/tty") or os.geteuid() != 0:
            return None  # no console: the kernel writes elsewhere
        said = _PRINTK.read_text()
        if int(said.split()[0]) > int(_QUIET):
            _PRINTK.write_text(_QUIET)
            return said.split()[0]
    return None
