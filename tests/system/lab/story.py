"""What happened to a machine, in order: from what its serial console said, and from what the server says."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from tests.system.lab.machine import Machine
from tests.system.lab.server import LabServer

# What the console says, and what of it goes into the story. iPXE breaks lines at column 80.
_SAID = {
    r"bty: \S+ will be flashed with (\S+)": "flash {}",
    r"bty: \S+: the (wizard)": "{}",
    r"bty: \S+ boots its own (disk)": "own {}",
    r"BTY-(LIVE)-UP": "live",
    r"bty: attempt \d+ (reboots) now": "reboots",
    r"BTY-SYSTEM-UP name=(\S+)": "system {}",
}
_WHOLE = re.compile("|".join(f"(?:{pattern})" for pattern in _SAID))


def story(said: str) -> list[str]:
    """Return what happened: ``flash one.img``, ``live``, ``reboots``, ``own disk``, ``system one``, ``wizard``.

    UEFI firmware asks a second time on its way to the disk, over HTTP; the story has that once.
    """
    found = contacts(said)
    twice = ["own disk", "own disk"]
    return [one for at, one in enumerate(found) if found[at - 1 : at + 1] != twice]


def contacts(said: str) -> list[str]:
    """Return what happened, as `story` does, with each time that the firmware was sent to the disk."""
    texts = list(_SAID.values())
    found = []
    for match in _WHOLE.finditer(said):
        number = match.lastindex or 1
        found.append(texts[number - 1].format(match[number]))
    return found


def reaches(
    server: LabServer,
    machine: Machine,
    condition: Callable[[dict[str, Any]], bool],
    seconds: float,
) -> dict[str, Any]:
    """Wait until the newest attempt of `machine` meets `condition`, and return it."""
    end = time.monotonic() + seconds
    while True:
        attempts = server.attempts(machine.mac)
        if attempts and condition(attempts[0]):
            return attempts[0]
        assert time.monotonic() < end, f"{attempts}\n{machine.said[-3000:]}"
        assert machine.is_on, machine.said[-3000:]
        time.sleep(0.3)
