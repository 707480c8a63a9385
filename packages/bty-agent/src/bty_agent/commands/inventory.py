"""``bty inventory``."""

from __future__ import annotations

import argparse

from bty_agent.console import Console
from bty_agent.exits import Exit
from bty_agent.render.envelope import envelope
from bty_agent.render.tables import facts, inventory_facts
from bty_core.machine.inventory import read_inventory


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Show what this machine is and has."""
    inventory = read_inventory()
    if arguments.json:
        console.data(envelope("inventory", inventory.wire()))
    else:
        facts(console, inventory_facts(inventory))
    return Exit.DONE
