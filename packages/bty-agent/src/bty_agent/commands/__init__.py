"""One module a subcommand: read the arguments, call the core, render."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from bty_agent.commands import completion, disks, flash, images, inspect, inventory, verify
from bty_agent.console import Console
from bty_agent.exits import Exit

Command = Callable[[argparse.Namespace, Console], Exit]

COMMANDS: dict[str, Command] = {
    "disks": disks.run,
    "images": images.run,
    "inspect": inspect.run,
    "flash": flash.run,
    "verify": verify.run,
    "inventory": inventory.run,
    "completion": completion.run,
}
