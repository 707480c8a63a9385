"""The program: arguments and a console in, an exit code out."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout

from bty_agent.cli import build_parser
from bty_agent.commands import command
from bty_agent.console import Console
from bty_agent.exits import Exit, exit_for
from bty_core.errors import BtyError, Refusals
from bty_core.program import ending
from bty_core.program.console import plain
from bty_core.program.ending import terminated_like_interrupted
from bty_core.program.parser import parse


def main(argv: Sequence[str], console: Console) -> Exit:
    """Run one command."""
    if not argv:
        console.say(build_parser().format_help().rstrip())
        return Exit.USAGE
    return ended(console, lambda: _command(argv, console))


def _command(argv: Sequence[str], console: Console) -> Exit:
    arguments = argparse.Namespace()
    try:
        with terminated_like_interrupted():
            with redirect_stdout(console.stdout):  # where argparse prints help and version
                arguments = parse(build_parser(), argv)
            return command(arguments.command)(arguments, console)
    except BrokenPipeError:
        # Whoever read the output has seen enough; a flash was not done.
        return Exit.BUG if getattr(arguments, "yes", False) else Exit.DONE


def ended(console: Console, work: Callable[[], Exit]) -> Exit:
    """Return how `work` ended; what failed is said."""

    def failed(error: BtyError) -> Exit:
        say_failure(console, error)
        return exit_for(error)

    return ending.ended("bty", console, work, failed)


def say_failure(console: Console, error: BtyError) -> None:
    """Write what failed, what to do, and in which state a disk was left."""
    found = error.reasons if isinstance(error, Refusals) else (error,)
    for one in found:
        console.say(f"bty: {plain(one.message)}", indent=5)
        if one.hint:
            console.say(f"     hint: {plain(one.hint)}", indent=11)
    if error.aftermath:
        console.say(f"     {plain(error.aftermath)}", indent=5)
