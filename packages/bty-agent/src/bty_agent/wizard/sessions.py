"""Who else hears of what is done in the wizard: nobody, or a server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from bty_agent.wizard.answers import Answer, LocalSet
from bty_core.errors import BtyError
from bty_core.events import Done, Event
from bty_core.flash.plan import FlashPlan

OnTry = Callable[[int, str], None]


class Session(Protocol):
    """The other side of a wizard. Nothing in it raises into a flash."""

    address: str | None  # of the server

    def look(self) -> Answer:
        """Return the images of the server, or that there is none."""

    def begin(self, cancel: threading.Event) -> None:
        """A flash begins; the server may set `cancel`."""

    def wait_for_turn(self, on_position: Callable[[int], None]) -> None:
        """Wait until the server lets this machine flash."""

    def emit(self, event: Event) -> None:
        """Pass on what the engine says."""

    def done(self, plan: FlashPlan, done: Done, on_try: OnTry) -> bool | None:
        """Report the flash; return whether the server knows, None where there is none."""

    def failed(self, plan: FlashPlan, error: BtyError) -> None:
        """Report the failure."""

    def tell(self, on_try: OnTry) -> bool:
        """Report again what the server does not know; return whether it does now."""

    def set_local(self) -> LocalSet:
        """Let the machine start from its own disk."""

    def close(self) -> None:
        """End it."""


class Alone:
    """Nobody else."""

    address: str | None = None

    def look(self) -> Answer:
        raise AssertionError("unreachable")

    def begin(self, cancel: threading.Event) -> None:
        """Nobody cancels."""

    def wait_for_turn(self, on_position: Callable[[int], None]) -> None:
        """It is always this machine's turn."""

    def emit(self, event: Event) -> None:
        """Nobody hears it."""

    def done(self, plan: FlashPlan, done: Done, on_try: OnTry) -> bool | None:  # noqa: ARG002
        return None

    def failed(self, plan: FlashPlan, error: BtyError) -> None:
        """Nobody hears it."""

    def tell(self, on_try: OnTry) -> bool:  # noqa: ARG002
        return True

    def set_local(self) -> LocalSet:
        return LocalSet()

    def close(self) -> None:
        """Nothing is open."""
