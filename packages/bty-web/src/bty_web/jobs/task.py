"""A job while it is done: its progress, and whether it is to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

from bty_core.errors import Cancelled


class Task:
    """What the function that does a job is given."""

    def __init__(self, number: int, kind: str, subject: str, arguments: Mapping[str, Any]) -> None:
        self.number = number
        self.kind = kind
        self.subject = subject
        self.arguments = arguments
        self.done = 0
        self.total: int | None = None
        self.result: dict[str, Any] | None = None
        self.stop = Event()
        self._interrupt: Callable[[], None] | None = None

    def on_stop(self, interrupt: Callable[[], None]) -> None:
        """Have `interrupt` called, from another thread, when the job is to stop: it ends what waits."""
        self._interrupt = interrupt
        if self.stop.is_set():
            interrupt()

    def end(self) -> None:
        """Let the job stop."""
        if not self.stop.is_set():
            self.stop.set()
            if self._interrupt is not None:
                self._interrupt()

    def at(self, done: int) -> None:
        """Note how many bytes are done; raise `Cancelled` where the job is to stop."""
        self.done = done
        if self.stop.is_set():
            raise Cancelled("the job was stopped")
