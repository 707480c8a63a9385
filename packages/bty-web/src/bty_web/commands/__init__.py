"""One module a subcommand: read arguments, call the rules, print."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import cast

from bty_web.console import Console
from bty_web.exits import Exit

Command = Callable[[argparse.Namespace, Console], Exit]


def command(name: str) -> Command:
    """Return the function of a subcommand; only its own imports are paid for."""
    # `import` is a word of the language and cannot name a module; nor can a hyphen be in one.
    module = "import_image" if name == "import" else name.replace("-", "_")
    return cast(Command, import_module(f"bty_web.commands.{module}").run)
