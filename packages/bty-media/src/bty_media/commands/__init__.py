"""One module a subcommand: read the arguments, do it, say what was done."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import cast

from bty_core.program.console import Console
from bty_media.exits import Exit

Command = Callable[[argparse.Namespace, Console], Exit]


def command(name: str) -> Command:
    """Return the function of a subcommand; only its own imports are paid for."""
    return cast(Command, import_module(f"bty_media.commands.{name}").run)
