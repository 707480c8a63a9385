"""The command line of ``bty-web``, declared. The parser, the reference page and the man page come from here."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from textwrap import wrap
from typing import NoReturn

from bty_core.errors import InvalidValue
from bty_core.values import Digest
from bty_web import __version__
from bty_web.exits import Exit
from bty_web.settings import DECLARED, Bind

SCOPES = ("read", "operate", "admin")  # of `models.words.Scope`, which would load the database

_ALWAYS = (Exit.DONE, Exit.BUG, Exit.USAGE, Exit.REFUSED, Exit.UNREACHABLE, Exit.INTERRUPTED)
_WRITES = (Exit.WRITE_FAILED,)

# What argparse says, whose quotes differ from one Python to the next.
_CHOICE = re.compile(
    r"argument (?P<name>\S+): invalid choice: '?(?P<value>.*?)'? \(choose from (?P<choices>.*)\)"
)
_MISSING = re.compile(r"the following arguments are required: (?P<names>.*)")
_NO_VALUE = re.compile(r"argument (?P<name>\S+): expected one argument")


class _Parser(argparse.ArgumentParser):
    """A parser that raises what it has to say, as everything else in bty does."""

    def error(self, message: str) -> NoReturn:
        raise InvalidValue(_sentence(message), hint=f"{self.prog} --help lists what there is")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help that is never wider than 80 columns."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=80)
        self._action_max_length = 14


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``bty-web``."""
    parser = _Parser(
        prog="bty-web",
        description="Serve images and boot decisions to the machines of a room, and pages to people.",
        epilog=_exit_codes(*Exit) + "\n\n'bty-web COMMAND --help' tells more of a command.",
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"bty-web {__version__}",
        help="show the version and exit",
    )
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for name, (summary, declare, codes) in _COMMANDS.items():
        known = [code for code in Exit if code in {*_ALWAYS, *codes}]
        declare(
            commands.add_parser(
                name,
                help=summary,
                description=summary[0].upper() + summary[1:] + ".",
                epilog=_exit_codes(*known),
                formatter_class=_Formatter,
                allow_abbrev=False,
            )
        )
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the words of a command line; raise `InvalidValue` for what makes no sense.

    Prints help or version, and raises `SystemExit`, where they are asked for.
    """
    parser = build_parser()
    asked = commands_of(parser).get(argv[0], parser) if argv else parser
    known = [name for action in asked._actions for name in action.option_strings]
    arguments, left = parser.parse_known_args(argv)
    if left:
        kind = "option" if left[0].startswith("-") else "argument"
        close = get_close_matches(left[0].partition("=")[0], known, n=1)
        meant = f": is {close[0]} meant?" if close and kind == "option" else ""
        asked.error(f"unknown {kind} '{left[0]}'{meant}")
    if arguments.command is None:
        parser.error("the command is missing")
    return arguments


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command, by name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


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
    if found := _NO_VALUE.fullmatch(message):
        return f"{found['name']} needs a value"
    return message


def _exit_codes(*codes: Exit) -> str:
    """Return exit codes and what they mean, in 80 columns."""
    lines = ["exit codes:"]
    for code in codes:
        lines += wrap(f"{code:>5}  {code.meaning}", 79, subsequent_indent=" " * 7)
    return "\n".join(lines)


def _declare_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bind",
        metavar="HOST:PORT",
        type=_bind,
        help="where to listen; port 0 takes any free one (default: BTY_BIND, or 0.0.0.0:8080)",
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        type=_workers,
        help="processes that answer requests (default: BTY_WORKERS, or 2)",
    )


def _declare_nothing(_parser: argparse.ArgumentParser) -> None:
    pass


def _declare_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--user", metavar="NAME", default="bty", help="who may log in (default: bty)"
    )
    _password(parser, "asked for on a terminal, elsewhere made and printed once")


def _declare_passwd(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="whose password")
    _password(parser, "asked for on a terminal")


def _declare_remove_user(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="who may no longer log in")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _declare_token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("label", metavar="LABEL", help="what it is for, to find it again")
    parser.add_argument(
        "--scope",
        choices=SCOPES,
        default=SCOPES[0],
        help="what it may do; each includes the ones before it (default: read)",
    )


def _declare_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="a path or an http(s) address")
    parser.add_argument(
        "--name", metavar="NAME", help="its name in the catalog (default: the name it has)"
    )
    parser.add_argument(
        "--sha256", metavar="HEX", type=Digest.parse, help="what its digest must be"
    )
    parser.add_argument(
        "--replace", action="store_true", help="take the place of an image of the same name"
    )


def _declare_probe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("interface", metavar="IFACE", help="the network interface to ask on")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")


def _declare_backup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="where to, as bty-web.tar.gz")


def _declare_restore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="what bty-web backup has written")


def _password(parser: argparse.ArgumentParser, otherwise: str) -> None:
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help=f"read the password from standard input (default: {otherwise})",
    )


def _bind(text: str) -> Bind:
    try:
        return Bind.parse(f"0.0.0.0{text}" if text.startswith(":") else text)
    except ValueError as error:
        raise InvalidValue(f"--bind: {error}") from error


def _workers(text: str) -> int:
    try:
        found: int = DECLARED["workers"]["parse"](text)
    except ValueError as error:
        raise InvalidValue(f"--workers: {error}") from error
    return found


# name -> what it does, its arguments, the exit codes that only some commands have
_COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None], tuple[Exit, ...]]] = {
    "serve": ("answer machines, programs and people", _declare_serve, ()),
    "worker": ("do the background work of a server that has BTY_QUEUE_URL", _declare_nothing, ()),
    "init": ("make folders, key, database and the first user", _declare_init, ()),
    "passwd": ("change a password", _declare_passwd, ()),
    "remove-user": ("remove a user, whose sessions and tokens end", _declare_remove_user, ()),
    "token": ("make a bearer token for the API and print it once", _declare_token, ()),
    "check": (
        "show every setting and where it comes from, and what is wrong",
        _declare_nothing,
        (),
    ),
    "import": (
        "put an image into the catalog",
        _declare_import,
        (Exit.INTEGRITY, *_WRITES),
    ),
    "probe": (
        "show who answers network boots on a network",
        _declare_probe,
        (Exit.NEEDS_ROOT, Exit.PROGRAM_MISSING),
    ),
    "backup": ("write database and key into one file", _declare_backup, _WRITES),
    "restore": (
        "bring database and key back from a backup",
        _declare_restore,
        (Exit.INTEGRITY, *_WRITES),
    ),
}
