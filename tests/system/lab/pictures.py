"""What the manual shows of screens: pictures that tests leave behind, to be copied into `docs/pictures/lab`."""

from __future__ import annotations

import time
from pathlib import Path

from tests.system.lab.firmware import ROOT
from tests.system.lab.machine import Machine

FOLDER = ROOT / ".nox" / "lab" / "pictures"


def picture(name: str) -> Path:
    """Return where the picture called `name` belongs."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    return FOLDER / f"{name}.png"


def keep_picture(machine: Machine, name: str) -> None:
    """Keep the screen of `machine` as soon as it stands still."""
    path = picture(name)
    before, now = b"", machine.screenshot(path).read_bytes()
    while before != now:
        time.sleep(2)
        before, now = now, machine.screenshot(path).read_bytes()
