"""``bty completion SHELL``."""

from __future__ import annotations

import argparse

import shtab

from bty_agent.cli import build_parser
from bty_agent.console import Console
from bty_agent.exits import Exit


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Print the script that teaches a shell the commands and options of bty."""
    console.data(shtab.complete(build_parser(), arguments.shell))
    return Exit.DONE
