"""A person at a terminal: the real `bty-tui` on a pseudo terminal, what it shows, and keys to press."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pyte

WAIT = 30.0  # seconds
UP, DOWN, ENTER, ESC, CTRL_C = "\x1b[A", "\x1b[B", "\r", "\x1b", "\x03"
POINTERS = ("\u203a", ">")


class Person:
    """Looks at the screen as a terminal shows it, and presses keys."""

    def __init__(self, child: pexpect.spawn[bytes], rows: int, columns: int) -> None:
        self.child = child
        self.received = b""
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)

    @property
    def shown(self) -> str:
        """What is on the screen, without the blanks at the ends."""
        lines = [line.rstrip() for line in self.screen.display]
        return "\n".join(lines).rstrip() + "\n"

    def look(self, seconds: float = 0.05) -> bool:
        """Take what has come by now; return whether anything did."""
        try:
            data = self.child.read_nonblocking(65536, seconds)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return False
        self.received += data
        self._stream.feed(data)
        return True

    def sees(self, *texts: str) -> str:
        """Wait until all of `texts` are on the screen, and it rests; return it."""
        self.until(lambda: all(text in self.shown for text in texts), " and ".join(texts))
        while self.look(0.1):
            pass
        return self.shown

    def until(self, true: Callable[[], object], what: str) -> None:
        end = time.monotonic() + WAIT
        while not true():
            if not self.look() and not self.child.isalive() and not true():
                raise AssertionError(f"it ended before {what}:\n{self.shown}")
            if time.monotonic() > end:
                raise AssertionError(f"no {what}:\n{self.shown}")

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.child.send(key.encode())

    def point_at(self, text: str) -> None:
        """Move to the row with `text`."""
        if not self.finds(text):
            raise AssertionError(f"nothing to choose with {text}:\n{self.shown}")

    def finds(self, text: str) -> bool:
        """Move to the row with `text`; return whether there is one, after all were seen."""
        seen: set[str] = set()
        while text not in self.pointed:
            if self.pointed in seen:
                return False
            seen.add(self.pointed)
            self._step(text)
        return True

    def _step(self, text: str) -> None:
        before = list(self.screen.display)
        self.press(DOWN)
        self.until(lambda: list(self.screen.display) != before, f"move to {text}")
        while self.look(0.02):
            pass

    def take(self, text: str) -> None:
        """Choose the row with `text`."""
        self.point_at(text)
        self.press(ENTER)

    @property
    def pointed(self) -> str:
        """The row that is pointed at."""
        for line in self.screen.display:
            if line[1:2] in POINTERS and line[0] == " ":
                return line
        return ""

    def ended(self) -> int | None:
        """Wait for the end; return the exit code."""
        end = time.monotonic() + WAIT
        while self.child.isalive() and time.monotonic() < end:
            self.look()
        while self.look():
            pass
        assert not self.child.isalive(), self.shown
        return self.child.exitstatus


ROOT = Path(__file__).resolve().parents[3]
WIZARD = "bty_agent.wizard.main"
PRETENDED = "tests.agent.wizard.pretended"


@contextmanager
def wizard(
    *argv: str | Path,
    module: str = WIZARD,
    term: str = "xterm",
    rows: int = 24,
    columns: int = 80,
    cwd: Path | None = None,
    **env: str,
) -> Iterator[Person]:
    """Start `bty-tui argv`; it is gone when the block is left."""
    said = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "BTY_SERVER", "BTY_IMAGE_ROOT")
    kept = {name: value for name, value in os.environ.items() if name not in said}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    child: pexpect.spawn[bytes] = pexpect.spawn(
        sys.executable,
        ["-m", module, *map(str, argv)],
        env={**kept, "LC_ALL": "C.UTF-8", "TERM": term, "PYTHONPATH": path, **env},
        cwd=cwd,
        dimensions=(rows, columns),
        timeout=WAIT,
    )
    child.delaybeforesend = None
    try:
        yield Person(child, rows, columns)
    finally:
        if child.isalive():
            child.kill(signal.SIGKILL)
            child.wait()
        child.close()
