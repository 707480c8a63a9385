"""The program: arguments and a console in, an exit code out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout

from bty_core.errors import BtyError, Refusals
from bty_core.program.console import Console
from bty_core.program.ending import ended, terminated_like_interrupted
from bty_core.program.parser import parse
from bty_media.cli import build_parser
from bty_media.commands import command
from bty_media.exits import Exit, exit_for


def main(argv: Sequence[str], console: Console) -> Exit:
    """Run one command."""
    if not argv:
        console.say(build_parser().format_help().rstrip())
        return Exit.USAGE

    def failed(error: BtyError) -> Exit:
        for one in error.reasons if isinstance(error, Refusals) else (error,):
            console.say(f"bty-media: {one.message}")
            if one.hint:
                console.say(f"     hint: {one.hint}")
        if error.aftermath:
            console.say(f"     {error.aftermath}")
        return exit_for(error)

    return ended("bty-media", console, lambda: _command(argv, console), failed)


def _command(argv: Sequence[str], console: Console) -> Exit:
    try:
        with terminated_like_interrupted():
            with redirect_stdout(console.stdout):  # where argparse prints help and version
                arguments = parse(build_parser(), argv)
            return command(arguments.command)(arguments, console)
    except BrokenPipeError:  # whoever read the output has seen enough
        return Exit.DONE
