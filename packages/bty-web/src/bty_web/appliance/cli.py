"""The command line of ``bty-appliance``, declared."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from bty_core.program.exits import exit_codes
from bty_core.program.parser import Parser, add_command, add_commands, program_parser
from bty_web import __version__
from bty_web.exits import MEANINGS, Exit

CODES = (
    Exit.DONE,
    Exit.BUG,
    Exit.USAGE,
    Exit.NEEDS_ROOT,
    Exit.PROGRAM_MISSING,
    Exit.REFUSED,
    Exit.INTEGRITY,
    Exit.WRITE_FAILED,
    Exit.INTERRUPTED,
)


def build_parser() -> Parser:
    """Return the parser of ``bty-appliance``."""
    codes = exit_codes(MEANINGS, CODES)
    parser = program_parser(
        "bty-appliance",
        __version__,
        "What the units of the server appliance run; certificate is for people too.",
        codes,
    )
    commands = add_commands(parser)
    for name, (summary, declare) in _COMMANDS.items():
        declare(add_command(commands, name, summary, codes))
    return parser


def _declare_nothing(_parser: argparse.ArgumentParser) -> None:
    pass


def _declare_certificate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--again",
        action="store_true",
        help="make one in any case, also in the place of one that is not bty's own",
    )
    parser.add_argument(
        "--name",
        metavar="NAME",
        action="append",
        default=[],
        help="a name or address that people type, with --again; can be repeated",
    )


# name -> what it does, its arguments
_COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "certificate": ("see to it that the pages have a certificate", _declare_certificate),
    "login": ("say whether a password of the user bty is right", _declare_nothing),
    "passwords": ("notice whether a default password is in place", _declare_nothing),
    "probe": ("ask a network who answers network boots, for the pages", _declare_nothing),
    "proxy-dhcp": ("run dnsmasq as the Settings page wants it", _declare_nothing),
    "shipped": ("put in place what this appliance has for machines", _declare_nothing),
}
