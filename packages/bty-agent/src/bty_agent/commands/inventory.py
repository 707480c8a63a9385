"""``bty inventory``."""

from __future__ import annotations

import argparse

from bty_agent.console import Console
from bty_agent.exits import Exit
from bty_agent.pretend.mask import masked
from bty_agent.pretend.options import chosen_host
from bty_agent.pretend.write import machine_text
from bty_agent.render.tables import facts, inventory_facts
from bty_core.errors import InvalidValue
from bty_core.program.envelope import envelope


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Show what this machine is and has."""
    if arguments.mask and not arguments.for_pretend:
        raise InvalidValue("--mask belongs to --for-pretend")
    host = chosen_host(arguments, console.say)
    inventory = host.inventory()
    if arguments.for_pretend:
        disks = host.disks()
        if arguments.mask:
            inventory, disks = masked(inventory, disks)
        console.data(machine_text(inventory, disks))
    elif arguments.json:
        console.data(envelope("inventory", inventory.wire()))
    else:
        facts(console, inventory_facts(inventory))
    return Exit.DONE
