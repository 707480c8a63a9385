"""The command line, declared. The parser, the completions, the reference page and the man page come from here."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from textwrap import wrap
from typing import NoReturn

from bty_agent import __version__
from bty_agent.exits import Exit
from bty_core.disks.select import Selector
from bty_core.errors import InvalidValue
from bty_core.images.decode import MAX_WINDOW
from bty_core.values import Digest, parse_size, size_text

# What a shell may offer for an argument.
FILE, FOLDER = "file", "folder"

DEFAULT_IMAGE_ROOT = Path("/var/lib/bty/images")

PROGRESS = ("auto", "text", "ndjson", "none")
PROVISIONING = ("none",)
_TO_COME = ("cloud-init", "cijoe", "cijoe-online")
SHELLS = ("bash", "zsh")

_PROGRAM = Exit.PROGRAM_MISSING
_ALWAYS = (Exit.DONE, Exit.BUG, Exit.USAGE, Exit.INTERRUPTED)
_OF_IMAGE = (_PROGRAM, Exit.REFUSED, Exit.INTEGRITY, Exit.UNREACHABLE)
_OF_DISK = (*_OF_IMAGE, Exit.NEEDS_ROOT)
_OF_FLASH = (Exit.NEEDS_ROOT, Exit.WRITE_FAILED)

# What argparse says, whose quotes differ from one Python to the next.
_CHOICE = re.compile(
    r"argument (?P<name>\S+): invalid choice: '?(?P<value>.*?)'? \(choose from (?P<choices>.*)\)"
)
_MISSING = re.compile(r"the following arguments are required: (?P<names>.*)")
_EXCLUDED = re.compile(r"argument (?P<name>\S+): not allowed with argument (?P<other>\S+)")
_NO_VALUE = re.compile(r"argument (?P<name>\S+): expected one argument")

SELECTORS = """\
A disk is named by its path, or found by conditions with commas
between:
  /dev/nvme0n1             this path
  serial:S64DNX0R          the whole serial number, in any case
  wwn:0x5002538f           the whole World Wide Name
  by-path:pci-0000:00:17.0-ata-1
                           the place in the machine
  model:Samsung            a text in the name of the model
  size>=500G  size<=1TiB   a size; G is 10^9 bytes, GiB 2^30
  transport:nvme           nvme, sata, sas, usb, virtio, mmc, iscsi
                           or fc
What is left of several disks:
  smallest  largest        the one at this end; a tie is refused
  only                     the one disk, when there are no others
Exactly one disk must match. Removable, USB and loop disks match only
when path, serial, wwn or by-path names them. file:PATH stands alone
and is a regular file that takes the place of a disk.
"""


class Parser(argparse.ArgumentParser):
    """A parser that raises what it has to say, as everything else in bty does."""

    def error(self, message: str) -> NoReturn:
        raise InvalidValue(_sentence(message), hint=f"{self.prog} --help lists what there is")


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help that is never wider than 80 columns."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=80)
        # The names of commands are indented once more than argparse reckons with.
        self._action_max_length = 14


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``bty``."""
    parser = Parser(
        prog="bty",
        description="Put an OS image onto a disk, verified.",
        epilog=exit_codes(*Exit) + "\n\n'bty COMMAND --help' tells more of a command.",
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"bty {__version__}",
        help="show the version and exit",
    )
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")

    def command(
        name: str, summary: str, codes: Sequence[Exit] = (), epilog: str = ""
    ) -> argparse.ArgumentParser:
        known = [code for code in Exit if code in {*_ALWAYS, *codes}]
        return commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog="\n".join(filter(None, [epilog, exit_codes(*known)])),
            formatter_class=Formatter,
            allow_abbrev=False,
        )

    _declare_disks(command("disks", "list the disks and say which may be written", [_PROGRAM]))
    _declare_images(command("images", "list the images of a folder", [Exit.UNREACHABLE]))
    _declare_inspect(command("inspect", "show what an image is and what is in it", _OF_IMAGE))
    _declare_flash(
        command("flash", "write an image onto a disk", [*_OF_IMAGE, *_OF_FLASH], SELECTORS)
    )
    _declare_verify(
        command("verify", "compare an image with a disk, writing nothing", _OF_DISK, SELECTORS)
    )
    _declare_inventory(command("inventory", "show what this machine is and has", [_PROGRAM]))
    _declare_completion(command("completion", "print the completion script for a shell"))
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the words of a command line; raise `InvalidValue` for what makes no sense.

    Prints help or version, and raises `SystemExit`, where they are asked for.
    """
    parser = build_parser()
    asked = commands_of(parser).get(argv[0], parser) if argv else parser
    refuse_unknown_options(asked, argv)
    arguments, left = parser.parse_known_args(argv)
    if left:
        asked.error(f"unknown {'option' if left[0].startswith('-') else 'argument'} '{left[0]}'")
    if arguments.command is None:
        parser.error("the command is missing")
    return arguments


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command, by name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def refuse_unknown_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
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


def exit_codes(*codes: Exit) -> str:
    """Return exit codes and what they mean, in 80 columns."""
    lines = ["exit codes:"]
    for code in codes:
        lines += wrap(f"{code:>5}  {code.meaning}", 79, subsequent_indent=" " * 7)
    return "\n".join(lines)


def _declare_disks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--all", action="store_true", help="also loop devices, optical drives and stacked devices"
    )
    _json(parser)


def _declare_images(parser: argparse.ArgumentParser) -> None:
    root = Path(os.environ.get("BTY_IMAGE_ROOT") or DEFAULT_IMAGE_ROOT)
    declare_path(
        parser,
        "--root",
        FOLDER,
        type=Path,
        default=root,
        help=f"the folder (default: $BTY_IMAGE_ROOT, or {DEFAULT_IMAGE_ROOT})",
    )
    _json(parser)


def _declare_inspect(parser: argparse.ArgumentParser) -> None:
    image = parser.add_argument("image", metavar="IMAGE", help="a path or an http(s) address")
    image.complete = FILE  # type: ignore[attr-defined]  # for the completion scripts
    parser.add_argument("--quick", action="store_true", help="look at the start only: no digests")
    _max_window(parser)
    _json(parser)


def _declare_flash(parser: argparse.ArgumentParser) -> None:
    _image_and_target(parser)
    parser.add_argument(
        "--provision",
        choices=PROVISIONING,
        type=_provisioning,
        default="none",
        help="what to set up on the disk afterwards (default and only choice: none)",
    )
    parser.add_argument(
        "--sha256",
        metavar="HEX",
        type=Digest.parse,
        help="what the image's digest must be (default: from IMAGE.sha256 or SHA256SUMS)",
    )
    parser.add_argument(
        "--no-verify", action="store_true", help="do not read the disk back after the write"
    )
    parser.add_argument(
        "--fix-gpt",
        action="store_true",
        help="move the backup of the GPT to the end of the disk, where that is larger than the image",
    )
    parser.add_argument(
        "--uefi-entry",
        action="store_true",
        help="let UEFI start the disk at the next boot, once; the boot order stays as it is",
    )
    _max_window(parser)
    parser.add_argument(
        "--progress",
        choices=PROGRESS,
        default="auto",
        help="how to tell how far it is: a bar on a terminal and lines elsewhere (auto),"
        " lines (text), events as JSON lines on standard output (ndjson), or not at all (none)",
    )
    parser.add_argument("--json", action="store_true", help="with --dry-run: the plan as JSON")
    go = parser.add_mutually_exclusive_group()
    go.add_argument(
        "--dry-run",
        action="store_true",
        help="show the plan and the reasons against it, write nothing",
    )
    go.add_argument("--yes", action="store_true", help="do not ask")


def _declare_verify(parser: argparse.ArgumentParser) -> None:
    _image_and_target(parser)
    _max_window(parser)
    parser.add_argument(
        "--progress",
        choices=("auto", "none"),
        default="auto",
        help="a bar on a terminal (auto), or nothing (none)",
    )
    _json(parser)


def _declare_inventory(parser: argparse.ArgumentParser) -> None:
    _json(parser)


def _declare_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="which shell")


def _image_and_target(parser: argparse.ArgumentParser) -> None:
    declare_path(
        parser,
        "--image",
        FILE,
        metavar="PATH_OR_URL",
        required=True,
        help="a path or an http(s) address",
    )
    declare_path(
        parser,
        "--target",
        FILE,
        metavar="SELECTOR",
        type=Selector.parse,
        required=True,
        help="the disk: see below",
    )


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="JSON on standard output")


def _max_window(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-window",
        metavar="SIZE",
        type=parse_size,
        default=MAX_WINDOW,
        help=f"memory that decoding may take for its window (default: {size_text(MAX_WINDOW)})",
    )


def declare_path(
    parser: argparse.ArgumentParser, flag: str, complete: object, **options: object
) -> None:
    option = parser.add_argument(flag, **options)  # type: ignore[arg-type]  # passed on as they are
    option.complete = complete  # type: ignore[attr-defined]


def _provisioning(text: str) -> str:
    """Say of the modes to come that they are to come."""
    if text in _TO_COME:
        raise InvalidValue(
            f"--provision {text} is not there yet: only none can be chosen",
            hint="leave --provision away, and set the system up after its first boot",
        )
    return text
