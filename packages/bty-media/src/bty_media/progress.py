"""How far it is: a line that is drawn again on a terminal, a line at each tenth of the way elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic

from bty_core.events import Emit, Event
from bty_core.flash.fold import FlashState, advance
from bty_core.flash.lines import lines, status
from bty_core.program.console import Console, plain
from bty_core.values import size_text

_SECONDS = 0.2  # between two drawings
_STEP = 10  # percent
_WIDTH = 80  # columns, where nobody says


class Line:
    """The last line of a terminal, which is drawn again and taken away at the end."""

    def __init__(self, console: Console) -> None:
        """Nothing is drawn yet."""
        self._console = console
        self._drawn = -_SECONDS

    def draw(self, text: str) -> None:
        """Show `text`, unless something was shown a moment ago."""
        now = monotonic()
        if now - self._drawn >= _SECONDS:
            self._drawn = now
            self._put(plain(text)[: _columns(self._console) - 1])

    def clear(self) -> None:
        """Take it away."""
        if self._drawn > 0:
            self._put("")

    def _put(self, text: str) -> None:
        with suppress(OSError):
            self._console.stderr.write(f"\r\x1b[K{text}")
            self._console.stderr.flush()


@contextmanager
def watching(console: Console) -> Iterator[Emit]:
    """Yield what shows a flash."""
    if not can_draw(console):
        yield lines(lambda line: console.say(f"bty-media: {line}"))
        return
    line, state = Line(console), FlashState()

    def emit(event: Event) -> None:
        nonlocal state
        state = advance(state, event, monotonic())
        line.draw(status(state))

    try:
        yield emit
    finally:
        line.clear()


@contextmanager
def counting(
    console: Console, what: str, total: int, *, quiet: bool = False
) -> Iterator[Callable[[int], None]]:
    """Yield what is told of bytes that came along, of `total` in all; `what` is like ``copying``.

    Where it is `quiet`, what takes no more than seconds is shown on a terminal alone.
    """
    line, began = Line(console), monotonic()
    drawing = can_draw(console)
    done = said = 0

    def tick(more: int) -> None:
        nonlocal done, said
        done += more
        percent = min(done * 100 // total, 100) if total else 100
        rate = size_text(round(done / max(monotonic() - began, 0.001)))
        text = f"{what} {percent} %, {size_text(done)}, {rate}/s"
        if drawing:
            line.draw(text)
        elif percent // _STEP > said and not quiet:
            said = percent // _STEP
            console.say(f"bty-media: {text}")

    try:
        yield tick
    finally:
        line.clear()


def can_draw(console: Console) -> bool:
    """Whether standard error is a terminal on which a line can be drawn again."""
    return console.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _columns(console: Console) -> int:
    try:
        return os.get_terminal_size(console.stderr.fileno()).columns or _WIDTH
    except (OSError, ValueError):
        return _WIDTH
