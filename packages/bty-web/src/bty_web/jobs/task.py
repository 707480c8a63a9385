"""A job while it is done: its progress, and whether it is to stop."""

from __future__ import annotations

from collections.abc import Mapping
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

    def at(self, done: int) -> None:
        """Note how many bytes are done; raise `Cancelled` where the job is to stop."""
        self.done = done
        if self.stop.is_set():
            raise Cancelled("the job was stopped")
