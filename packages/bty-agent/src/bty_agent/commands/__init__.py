"""One module a subcommand: read the arguments, call the core, render."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import cast

from bty_agent.console import Console
from bty_agent.exits import Exit

Command = Callable[[argparse.Namespace, Console], Exit]


def command(name: str) -> Command:
    """Return the function of a subcommand; only its own imports are paid for."""
    return cast(Command, import_module(f"bty_agent.commands.{name}").run)
