"""``bty disks``."""

from __future__ import annotations

import argparse

from bty_agent.console import Console
from bty_agent.exits import Exit
from bty_agent.pretend.options import chosen_host
from bty_agent.render.disks import disk_lines
from bty_agent.render.envelope import disk_wire
from bty_agent.render.tables import DETAIL
from bty_core.disks.model import Kind
from bty_core.program.envelope import envelope


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """List the disks."""
    host = chosen_host(arguments, console.say)
    found = [disk for disk in host.disks() if arguments.all or disk.kind is Kind.DISK]
    if arguments.json:
        console.data(envelope("list-disks", {"disks": [disk_wire(disk) for disk in found]}))
    elif found:
        for line in disk_lines(found):
            console.page(line, indent=len(DETAIL))
    else:
        console.say("bty: this machine shows no disks")
        console.say(
            "     hint: look for a missing driver with dmesg; bty disks --all shows loop devices too"
        )
    return Exit.DONE
