"""The odd machines: one file each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bty_agent.pretend.host import Pretended
from bty_agent.pretend.read import parse_machine, read_machine

MACHINES = Path(__file__).resolve().parents[1] / "machines"
NAMES = sorted(file.stem for file in MACHINES.glob("*.json"))


def machine_file(name: str) -> Path:
    """Return the file of a machine."""
    return MACHINES / f"{name}.json"


def pretended(name: str, folder: Path) -> Pretended:
    """Return a machine whose scratch files are in `folder`."""
    return Pretended(read_machine(machine_file(name)), folder, lambda _: None)


def made(folder: Path, *disks: dict[str, Any], **facts: Any) -> Pretended:
    """Return a machine with these disks."""
    machine = parse_machine({**facts, "disks": list(disks)}, "made")
    return Pretended(machine, folder, lambda _: None)


def saved(folder: Path, *disks: dict[str, Any], **facts: Any) -> Path:
    """Return the file of a machine with these disks."""
    file = folder / "machine.json"
    file.write_text(json.dumps({**facts, "disks": list(disks)}))
    return file
