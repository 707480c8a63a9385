"""How patient this machine is with its server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds between reports, and before something is tried again."""

    gap: float = 0.5  # between two reports, at least
    alive: float = (
        5.0  # between two reports of a flash, at most: a cancel is heard with the next one
    )
    thinking: float = 30.0  # between two reports while a person thinks
    waits: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # before further requests
    pace: float = 1.0  # what each time that the server names is multiplied with

    def wait(self, failures: int) -> float:
        """Return the seconds to wait after so many failures in a row."""
        return self.waits[min(failures, len(self.waits)) - 1]

    def times(self, factor: float) -> Self:
        """Return these times, each so many times as long."""
        return replace(
            self,
            pace=self.pace * factor,
            gap=self.gap * factor,
            alive=self.alive * factor,
            thinking=self.thinking * factor,
            waits=tuple(wait * factor for wait in self.waits),
        )
