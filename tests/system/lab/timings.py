"""How long the steps of each flow took: collected by a fixture, a table at the end of the run, and a file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.system.lab.firmware import ROOT

FILE = Path(os.environ.get("BTY_LAB_TIMINGS", ROOT / ".nox" / "lab" / "timings.json"))
_ABOUT, _STEP = "lab-about", "lab-step"
_COLUMNS = ("flow", "firmware", "policy")


@dataclass(frozen=True, slots=True)
class Timings:
    """Of one test. `properties` travel with pytest's report, from whichever process ran the test."""

    properties: list[tuple[str, object]]

    def about(self, flow: str, firmware: str, policy: str = "-") -> None:
        """Say what is tried: a row of the table."""
        self.properties.append((_ABOUT, [flow, str(firmware), policy]))

    def note(self, step: str, seconds: float) -> None:
        """Keep that `step` was reached so many seconds after power-on."""
        self.properties.append((_STEP, [step, round(seconds, 1)]))


def rows(reports: Sequence[Any]) -> list[dict[str, Any]]:
    """Return a row for each of pytest's reports of a test that has said what it is about."""
    found = []
    for report in reports:
        given: list[tuple[str, Any]] = getattr(report, "user_properties", [])
        about = next((value for name, value in given if name == _ABOUT), None)
        if about is None or report.when != "call":
            continue
        found.append(
            {
                **dict(zip(_COLUMNS, about, strict=True)),
                "test": report.nodeid.rpartition("/")[2],
                "passed": report.passed,
                "seconds": round(report.duration, 1),
                "steps": dict(value for name, value in given if name == _STEP),
            }
        )
    return sorted(found, key=lambda row: [row[name] for name in (*_COLUMNS, "test")])


def table(found: Sequence[dict[str, Any]]) -> list[str]:
    """Return the lines of the table that a person reads."""
    lines = []
    wide = {name: max(len(row[name]) for row in found) for name in _COLUMNS}
    for row in found:
        what = "  ".join(row[name].ljust(wide[name]) for name in _COLUMNS)
        steps = ", ".join(f"{step} {seconds:g}" for step, seconds in row["steps"].items())
        outcome = "passed" if row["passed"] else "FAILED"
        lines.append(f"{what}  {outcome}  {row['seconds']:6.1f} s  {steps}".rstrip())
    return lines


def keep(found: Sequence[dict[str, Any]], file: Path = FILE) -> None:
    """Write the rows of this run for programs."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"schema_version": "1", "rows": list(found)}, indent=1) + "\n")
