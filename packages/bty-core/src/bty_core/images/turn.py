"""One thread reads, any thread may close: who gives the resources back, and when."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bty_core.errors import Cancelled


class Turn:
    """The part of a stream that lets `close` come from another thread than the one that reads.

    A file descriptor must not be closed under a thread that reads from it: its number may belong
    to another file a moment later. So whoever comes last, reader or closer, calls `_give_back`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._closed = threading.Event()
        self._reading = threading.Lock()

    def close(self) -> None:
        """Give everything back; a read that is under way ends with `Cancelled`."""
        self._closed.set()
        self._interrupt()
        self._settle()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the stream for one read."""
        try:
            with self._reading:
                self._go_on()
                yield
        finally:
            if self._closed.is_set():
                self._settle()

    def _go_on(self) -> None:
        if self._closed.is_set():
            raise Cancelled(f"reading {self._name} was stopped")

    def _settle(self) -> None:
        if self._reading.acquire(blocking=False):
            try:
                self._give_back()
            finally:
                self._reading.release()

    def _interrupt(self) -> None:
        """Wake a reader that waits. Called from any thread, at any time."""

    def _give_back(self) -> None:
        """Close what is open. Called with no read under way; may be called twice."""
        raise NotImplementedError
