"""Who else hears of what is done in the wizard: nobody, or a server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from bty_agent.wizard.answers import Answer, LocalSet
from bty_agent.wizard.offers import Offer, Setup
from bty_core.disks.model import Disk
from bty_core.errors import BtyError
from bty_core.events import Done, Event
from bty_core.flash.plan import FlashPlan
from bty_core.provisioning.job import Provisioner

OnTry = Callable[[int, str], None]  # which try failed, and why
OnPosition = Callable[[int], None]


class Session(Protocol):
    """The other side of a wizard. Only `wait_for_turn` raises."""

    address: str | None  # of the server

    @property
    def stopped_by(self) -> BtyError | None:
        """Why the other side wanted the flash to stop, or None."""

    def look(self) -> Answer:
        """Return the images of the server, or that there is none."""

    def setups(self) -> tuple[Setup, ...]:
        """Return what the server would set up on this machine's disk."""

    def provisioner(self, setup: Setup) -> Provisioner | None:
        """Return what sets up as the server wants it; raise `BtyError` where it may not or cannot."""

    def hand_over(self) -> None:
        """Send what a workflow of the server left."""

    def picked(self, image: Offer | None, disk: Disk | None) -> None:
        """A person has chosen."""

    def begin(self, plan: FlashPlan) -> threading.Event:
        """A flash begins; the event stops it, and may be set from the other side."""

    def wait_for_turn(self, on_position: OnPosition, on_try: OnTry) -> None:
        """Wait until this machine may write; raise `BtyError` where it may not."""

    def waits(self) -> None:
        """The person thinks again."""

    def emit(self, event: Event) -> None:
        """Pass on what the engine says."""

    def done(self, plan: FlashPlan, done: Done, on_try: OnTry) -> bool | None:
        """Report the flash; return whether the server knows, None where there is none."""

    def failed(self, error: BtyError) -> None:
        """Report the failure."""

    def tell(self, on_try: OnTry) -> bool:
        """Report again what the server does not know; return whether it does now."""

    def set_local(self) -> LocalSet:
        """Let the machine start from its own disk."""

    def another(self) -> None:
        """The next flash is another one."""

    def close(self) -> None:
        """End it."""


class Alone:
    """Nobody else."""

    address: str | None = None
    stopped_by: BtyError | None = None

    def look(self) -> Answer:
        """Return nothing: there is no server to look at."""
        raise AssertionError("unreachable")

    def setups(self) -> tuple[Setup, ...]:
        """Return nothing: there is no server that has something."""
        return ()

    def provisioner(self, setup: Setup) -> Provisioner | None:  # noqa: ARG002
        """There is no server that has something."""
        return None

    def hand_over(self) -> None:
        """Nobody wants it."""

    def picked(self, image: Offer | None, disk: Disk | None) -> None:
        """Nobody hears it."""

    def begin(self, plan: FlashPlan) -> threading.Event:  # noqa: ARG002
        """Return what nobody else sets."""
        return threading.Event()

    def wait_for_turn(self, on_position: OnPosition, on_try: OnTry) -> None:
        """It is always this machine's turn."""

    def waits(self) -> None:
        """Nobody hears it."""

    def emit(self, event: Event) -> None:
        """Nobody hears it."""

    def done(self, plan: FlashPlan, done: Done, on_try: OnTry) -> bool | None:  # noqa: ARG002
        """There is no server that could know."""
        return None

    def failed(self, error: BtyError) -> None:
        """Nobody hears it."""

    def tell(self, on_try: OnTry) -> bool:  # noqa: ARG002
        """There is nobody to tell."""
        return True

    def set_local(self) -> LocalSet:
        """There is no policy."""
        return LocalSet()

    def another(self) -> None:
        """One is like the other."""

    def close(self) -> None:
        """Nothing is open."""
