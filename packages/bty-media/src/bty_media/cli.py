"""The command line of ``bty-media``, declared. The parser, the reference page and the man page come from here."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from bty_core.disks.select import Selector
from bty_core.program.exits import exit_codes
from bty_core.program.parser import Parser, add_command, add_commands, program_parser
from bty_media import __version__
from bty_media.exits import MEANINGS, Exit

KINDS = ("usb", "pxe", "server")  # of `manifest.Kind`, which would load what reads manifests
ARCHITECTURES = ("amd64",)
KERNELS = ("generic", "cloud")
OUTPUT = Path("media")
CACHE = Path("/var/cache/bty-media")  # of root, who alone can build

_ALWAYS = (Exit.DONE, Exit.BUG, Exit.USAGE, Exit.INTERRUPTED)
_OF_BUILDING = (Exit.NEEDS_ROOT, Exit.PROGRAM_MISSING, Exit.REFUSED, Exit.UNREACHABLE)
_OF_READING = (Exit.INTEGRITY, Exit.UNREACHABLE)


def build_parser() -> Parser:
    """Return the parser of ``bty-media``."""
    parser = program_parser(
        "bty-media",
        __version__,
        "Build what machines are started from: stick, network environment, server.",
        exit_codes(MEANINGS) + "\n\n'bty-media COMMAND --help' tells more of a command.",
    )
    commands = add_commands(parser)
    for name, (summary, declare, codes) in _COMMANDS.items():
        known = [code for code in MEANINGS if code in {*_ALWAYS, *codes}]
        declare(add_command(commands, name, summary, exit_codes(MEANINGS, known)))
    return parser


def _declare_build(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "kind",
        choices=KINDS,
        help="a stick (usb), kernel and initrd for network boot (pxe), or a disk image with bty-web"
        " and everything that it needs (server)",
    )
    _output(parser, "put the build into a folder of its own in DIR")
    _mirror(parser)
    parser.add_argument(
        "--arch",
        choices=ARCHITECTURES,
        default=ARCHITECTURES[0],
        help=f"which machines it is for (default and only choice: {ARCHITECTURES[0]})",
    )
    parser.add_argument(
        "--kernel",
        choices=KERNELS,
        default=KERNELS[0],
        help="Debian's kernel for all machines (generic, the default), or the small one for virtual"
        " machines alone (cloud)",
    )
    parser.add_argument(
        "--ssh-key",
        metavar="FILE",
        type=Path,
        help="a public key whose owner may log in to the live environment as root, over SSH",
    )
    parser.add_argument(
        "--extra-package",
        metavar="NAME",
        action="append",
        default=[],
        help="put this package of Debian in as well; may be given again",
    )
    _cache(parser)


def _declare_list(parser: argparse.ArgumentParser) -> None:
    _output(parser, "the folder that the builds are in")
    _json(parser)


def _declare_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", type=Path, help="the folder of one build")
    _json(parser)


def _declare_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fix",
        action="store_true",
        help="fetch a mkosi that is new enough into the cache; nothing is installed",
    )
    _output(parser, "the folder that builds will be put into")
    _mirror(parser)
    _cache(parser)
    _json(parser)


def _declare_write(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "disk",
        metavar="DISK",
        type=Selector.parse,
        help="the stick: a path such as /dev/sdb, or serial:…, as bty flash --target takes it",
    )
    parser.add_argument(
        "--add",
        metavar="IMAGE",
        nargs="+",
        action="extend",
        default=[],
        type=Path,
        help="put these images onto it too, with the .yaml and .sha256 files beside them",
    )
    parser.add_argument(
        "--image",
        metavar="DIR_OR_FILE",
        type=Path,
        help="which build of the stick, or which file with one (default: the newest build)",
    )
    _output(parser, "the folder that the builds are in")
    go = parser.add_mutually_exclusive_group()
    go.add_argument(
        "--dry-run",
        action="store_true",
        help="show the plan and the reasons against it, write nothing",
    )
    go.add_argument("--yes", action="store_true", help="do not ask")


def _declare_install(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "url", metavar="URL", help="the address of the server, such as http://10.0.0.1:8080"
    )
    parser.add_argument(
        "--token",
        metavar="TOKEN",
        default=os.environ.get("BTY_TOKEN") or None,
        help="a token with the scope admin, made by bty-web token"
        " (default: $BTY_TOKEN, which ps does not show)",
    )
    parser.add_argument(
        "--live",
        metavar="DIR",
        type=Path,
        help="which build of the network environment (default: the newest)",
    )
    _output(parser, "the folder that the builds are in")


def _output(parser: argparse.ArgumentParser, told: str) -> None:
    parser.add_argument(
        "--output",
        metavar="DIR",
        type=Path,
        default=OUTPUT,
        help=f"{told} (default: {OUTPUT})",
    )


def _mirror(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mirror",
        metavar="URL",
        help="where the packages of Debian come from (default: from where apt has them here)",
    )


def _cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        default=CACHE,
        help=f"keep what later builds can use again in DIR (default: {CACHE})",
    )


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="JSON on standard output")


# name -> what it does, its arguments, the exit codes that only some commands have
_COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None], tuple[Exit, ...]]] = {
    "build": ("build a stick, the network environment or the server", _declare_build, _OF_BUILDING),
    "list": ("list the builds that are there", _declare_list, (Exit.UNREACHABLE,)),
    "verify": ("compare a build with its manifest", _declare_verify, _OF_READING),
    "doctor": ("say what this machine lacks to build", _declare_doctor, _OF_BUILDING),
    "write": (
        "write a stick, and images onto it",
        _declare_write,
        (*_OF_BUILDING, Exit.INTEGRITY, Exit.WRITE_FAILED),
    ),
    "install": (
        "send a network environment to a server, which gives it to machines",
        _declare_install,
        (Exit.REFUSED, *_OF_READING),
    ),
}
