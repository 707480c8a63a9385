"""The program: arguments and a console in, an exit code out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout

from bty_core.errors import BtyError
from bty_core.program.ending import ended, terminated_like_interrupted
from bty_core.program.parser import parse
from bty_web.cli import build_parser
from bty_web.commands import command
from bty_web.console import Console
from bty_web.exits import Exit, exit_for


def main(argv: Sequence[str], console: Console) -> Exit:
    """Run one command."""
    if not argv:
        console.say(build_parser().format_help().rstrip())
        return Exit.USAGE

    def failed(error: BtyError) -> Exit:
        console.say(f"bty-web: {error.message}")
        if error.hint:
            console.say(f"hint: {error.hint}")
        return exit_for(error)

    return ended("bty-web", console, lambda: _command(argv, console), failed)


def _command(argv: Sequence[str], console: Console) -> Exit:
    try:
        with terminated_like_interrupted():
            with redirect_stdout(console.stdout):  # where argparse prints help and version
                arguments = parse(build_parser(), argv)
            return command(arguments.command)(arguments, console)
    except BrokenPipeError:  # whoever read the output has seen enough
        return Exit.DONE
