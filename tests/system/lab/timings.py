"""How long the steps of each flow took: a line of JSON for each test, which `nox -s lab` makes a table of."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from tests.system.lab.firmware import ROOT

FILE = Path(os.environ.get("BTY_LAB_TIMINGS", ROOT / ".nox" / "lab" / "timings.jsonl"))


@dataclass(frozen=True, slots=True)
class Timings:
    """Of one test."""

    test: str

    def note(self, step: str, seconds: float) -> None:
        """Keep that `step` was reached so many seconds after power-on."""
        FILE.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"test": self.test, "step": step, "seconds": round(seconds, 1)})
        with FILE.open("a") as file:  # one write: several processes may do it
            file.write(f"{line}\n")
