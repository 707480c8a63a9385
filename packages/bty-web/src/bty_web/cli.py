"""The command line of ``bty-web``, declared. The parser, the reference page and the man page come from here."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from bty_core.errors import InvalidValue
from bty_core.program.exits import exit_codes
from bty_core.program.parser import Parser, add_command, add_commands, program_parser
from bty_core.values import Digest
from bty_web import __version__
from bty_web.exits import MEANINGS, Exit
from bty_web.settings import DECLARED, Bind

SCOPES = ("read", "operate", "admin")  # of `models.words.Scope`, which would load the database

_ALWAYS = (Exit.DONE, Exit.BUG, Exit.USAGE, Exit.REFUSED, Exit.UNREACHABLE, Exit.INTERRUPTED)
_WRITES = (Exit.WRITE_FAILED,)


def build_parser() -> Parser:
    """Return the parser of ``bty-web``."""
    parser = program_parser(
        "bty-web",
        __version__,
        "Serve images and boot decisions to the machines of a room, and pages to people.",
        exit_codes(MEANINGS) + "\n\n'bty-web COMMAND --help' tells more of a command.",
    )
    commands = add_commands(parser)
    for name, (summary, declare, codes) in _COMMANDS.items():
        known = [code for code in MEANINGS if code in {*_ALWAYS, *codes}]
        declare(add_command(commands, name, summary, exit_codes(MEANINGS, known)))
    return parser


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
    parser.add_argument(
        "--with-secrets",
        action="store_true",
        help="also the key that opens what is kept encrypted, such as secret seeds"
        " (default: without it, they have to be written anew on another server)",
    )


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
