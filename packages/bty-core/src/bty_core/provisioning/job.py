"""What provisioning is asked to do, and what each mode of it answers."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event as Flag
from typing import Protocol

from bty_core.disks.model import Disk
from bty_core.errors import Cancelled, Refused
from bty_core.flash.plan import FlashPlan
from bty_core.wire.plan import ProvisioningMode


class Tell(Protocol):
    """Tells a watcher what happens now; the numbers are of a workflow's steps."""

    def __call__(self, doing: str, step: int | None = None, steps: int | None = None) -> None:
        """Say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One disk that holds its image, to be provisioned now."""

    disk: Disk  # as it is after the write
    image: str  # the name of the image
    tell: Tell
    cancel: Flag

    def go_on(self) -> None:
        """Raise `Cancelled` where somebody asked to stop."""
        if self.cancel.is_set():
            raise Cancelled("stopped on request")


class Provisioner(Protocol):
    """A way to provision, with all it needs: read, checked, and good for several flashes."""

    @property
    def mode(self) -> ProvisioningMode:
        """What `--provision` and plans call it."""

    @property
    def steps(self) -> tuple[str, ...]:
        """What it will do, for the plan that a person confirms."""

    def warnings(self, plan: FlashPlan, /) -> list[str]:
        """Return what a careful person should know before the flash."""

    def refusals(self, plan: FlashPlan, /) -> list[Refused]:
        """Return why the flash must not begin, as far as that can be known before it."""

    def run(self, job: Job) -> str:
        """Provision; return what was done, as a sentence. Needs root.

        Raises `ProvisioningFailed`, `Cancelled`, or whatever else went wrong, and leaves no mount behind.
        """
