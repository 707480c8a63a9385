"""From a machine to the file that pretends it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bty_agent.render.envelope import disk_wire
from bty_core.disks.model import Disk
from bty_core.machine.model import Inventory


def machine_text(inventory: Inventory, disks: Sequence[Disk]) -> str:
    """Return the JSON text of a machine; `disks` are all that it shows, not only those that it reports."""
    facts: dict[str, Any] = {
        name: value for name, value in inventory.wire().items() if name != "disks"
    }
    name = " ".join(filter(None, (inventory.identity.vendor, inventory.identity.product)))
    whole = {"name": name or "a machine", **facts, "disks": [_disk(disk) for disk in disks]}
    return json.dumps(whole, indent=2)


def _disk(disk: Disk) -> dict[str, Any]:
    told = disk_wire(disk)
    del told["refusals"]
    return {
        **told,
        "virtual": disk.virtual,
        "uses": [
            {
                "device": str(use.device),
                "what": use.what,
                "running_system": use.running_system,
            }
            for use in disk.uses
        ],
    }
