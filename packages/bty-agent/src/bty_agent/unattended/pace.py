"""How patient an unattended machine is."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Self

from bty_agent.server.timing import Timing
from bty_core.images.address import HttpSettings

# A factor for all of it, for tests: nothing that a person sets.
_FACTOR = "BTY_TEST_PACE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds, where nothing else is said."""

    server_patience: float = 1800.0  # until a server that does not answer is given up
    tries: int = 3  # of the whole flash
    waits: tuple[float, ...] = (10.0, 60.0)  # before the second try, and before further ones
    done_patience: float = 600.0  # to tell the server of a success, before the reboot
    failed_patience: float = 120.0  # to tell it of a failure, before the wizard
    say_every: float = 30.0  # between two lines on the console, at most
    timing: Timing = field(default_factory=Timing)
    http: HttpSettings = field(default_factory=HttpSettings)

    def wait(self, number: int) -> float:
        """Return the seconds to wait after try `number`."""
        return self.waits[min(number, len(self.waits)) - 1]

    def times(self, factor: float) -> Self:
        """Return this pace, each time so many times as long."""
        return replace(
            self,
            server_patience=self.server_patience * factor,
            waits=tuple(wait * factor for wait in self.waits),
            done_patience=self.done_patience * factor,
            failed_patience=self.failed_patience * factor,
            say_every=self.say_every * factor,
            timing=self.timing.times(factor),
            http=replace(self.http, waits=tuple(wait * factor for wait in self.http.waits)),
        )


def pace_here() -> Pace:
    """Return the pace of this process."""
    return Pace().times(float(os.environ.get(_FACTOR, "1")))
