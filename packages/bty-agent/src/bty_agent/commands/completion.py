"""``bty completion SHELL``."""

from __future__ import annotations

import argparse

import shtab

from bty_agent.cli import build_parser
from bty_agent.console import Console
from bty_agent.exits import Exit
from bty_agent.paths import FILE, FOLDER


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Print the script that teaches a shell the commands and options of bty."""
    parser = build_parser()
    _spell_for_shtab(parser)
    console.data(shtab.complete(parser, arguments.shell))
    return Exit.DONE


def _spell_for_shtab(parser: argparse.ArgumentParser) -> None:
    spelled = {FILE: shtab.FILE, FOLDER: shtab.DIRECTORY}
    for action in parser._actions:  # argparse has no public way to them
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                _spell_for_shtab(each)
        elif (kind := getattr(action, "complete", None)) is not None:
            action.complete = spelled[kind]  # type: ignore[attr-defined]  # where shtab looks
