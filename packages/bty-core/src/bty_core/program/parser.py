"""A command line, read in the words of bty: the same sentence for the same mistake in each program."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import takewhile
from typing import NoReturn, TypeAlias

from bty_core.errors import InvalidValue

# What argparse says, whose quotes differ from one Python to the next.
_CHOICE = re.compile(
    r"argument (?P<name>\S+): invalid choice: '?(?P<value>.*?)'? \(choose from (?P<choices>.*)\)"
)
_MISSING = re.compile(r"the following arguments are required: (?P<names>.*)")
_EXCLUDED = re.compile(r"argument (?P<name>\S+): not allowed with argument (?P<other>\S+)")
_NO_VALUE = re.compile(r"argument (?P<name>\S+): expected (?:at least )?one argument")


class Parser(argparse.ArgumentParser):
    """A parser that raises what it has to say, as everything else in bty does."""

    def error(self, message: str) -> NoReturn:
        raise InvalidValue(_sentence(message), hint=f"{self.prog} --help lists what there is")


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help that is never wider than 80 columns."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=80)
        # The names of commands are indented once more than argparse reckons with.
        self._action_max_length = 14


def program_parser(prog: str, version: str, description: str, epilog: str) -> Parser:
    """Return the parser of a program; it knows --help and --version so far."""
    parser = Parser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"{prog} {version}",
        help="show the version and exit",
    )
    return parser


def add_commands(parser: Parser) -> Commands:
    """Let a program have commands."""
    return parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")


def add_command(
    commands: Commands, name: str, summary: str, epilog: str
) -> argparse.ArgumentParser:
    """Declare one command; `summary` begins in lower case and ends without a full stop."""
    return commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=epilog,
        formatter_class=_Formatter,
        allow_abbrev=False,
    )


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command, by name."""
    for action in parser._actions:  # argparse has no public way to them
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Read the words of a command line; raise `InvalidValue` for what makes no sense.

    Prints help or version, and raises `SystemExit`, where they are asked for.
    """
    below = commands_of(parser)
    asked = below.get(argv[0], parser) if argv else parser
    _refuse_unknown_options(asked, argv)
    arguments, left = parser.parse_known_args(argv)
    if left:
        asked.error(f"unknown {'option' if left[0].startswith('-') else 'argument'} '{left[0]}'")
    if below and arguments.command is None:
        parser.error("the command is missing")
    return arguments


def _refuse_unknown_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Name a mistyped option before argparse says that the right one is missing."""
    known = [name for action in parser._actions for name in action.option_strings]
    for word in takewhile(lambda word: word != "--", argv):
        name = word.partition("=")[0]
        if name.startswith("--") and name not in known:
            close = get_close_matches(name, known, n=1)
            parser.error(f"unknown option '{name}'" + (f": is {close[0]} meant?" if close else ""))


def _sentence(message: str) -> str:
    """Return what argparse says of a mistake in the words of bty, the same on each Python."""
    if found := _CHOICE.fullmatch(message):
        choices = found["choices"].replace("'", "")
        if found["name"] == "COMMAND":
            return f"there is no command '{found['value']}': choose one of {choices}"
        return f"{found['name']} cannot be '{found['value']}': choose one of {choices}"
    if found := _MISSING.fullmatch(message):
        words = found["names"].split(", ")
        return f"{' and '.join(words)} {'are' if len(words) > 1 else 'is'} missing"
    if found := _EXCLUDED.fullmatch(message):
        return f"{found['other']} and {found['name']} exclude each other"
    if found := _NO_VALUE.fullmatch(message):
        return f"{found['name']} needs a value"
    return message
