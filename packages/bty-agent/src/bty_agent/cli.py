"""The command line, declared. The parser, the completions, the reference page and the man page come from here."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from bty_agent import __version__
from bty_agent.exits import Exit, exit_codes
from bty_agent.paths import FILE, FOLDER, declare_path
from bty_agent.provisioning import declare_provisioning
from bty_core.disks.select import Selector
from bty_core.images.decode import MAX_WINDOW
from bty_core.program.parser import Parser, add_command, add_commands, program_parser
from bty_core.values import Digest, parse_size, size_text

DEFAULT_IMAGE_ROOT = Path("/var/lib/bty/images")

PROGRESS = ("auto", "text", "ndjson", "none")
SHELLS = ("bash", "zsh")

_PROGRAM = Exit.PROGRAM_MISSING
_ALWAYS = (Exit.DONE, Exit.BUG, Exit.USAGE, Exit.INTERRUPTED)
_OF_IMAGE = (_PROGRAM, Exit.REFUSED, Exit.INTEGRITY, Exit.UNREACHABLE)
_OF_DISK = (*_OF_IMAGE, Exit.NEEDS_ROOT)
_OF_FLASH = (Exit.NEEDS_ROOT, Exit.WRITE_FAILED, Exit.PROVISIONING_FAILED)

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


def build_parser() -> Parser:
    """Return the parser of ``bty``."""
    parser = program_parser(
        "bty",
        __version__,
        "Put an OS image onto a disk, verified.",
        exit_codes(*Exit) + "\n\n'bty COMMAND --help' tells more of a command.",
    )
    commands = add_commands(parser)

    def command(
        name: str, summary: str, codes: Sequence[Exit] = (), epilog: str = ""
    ) -> argparse.ArgumentParser:
        known = [code for code in Exit if code in {*_ALWAYS, *codes}]
        told = "\n".join(filter(None, [epilog, exit_codes(*known)]))
        return add_command(commands, name, summary, told)

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


def _declare_disks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--all", action="store_true", help="also loop devices, optical drives and stacked devices"
    )
    declare_pretend(parser)
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
    declare_provisioning(parser)
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
    declare_pretend(parser)
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
    declare_pretend(parser)
    form = parser.add_mutually_exclusive_group()
    _json(form)
    form.add_argument(
        "--for-pretend",
        action="store_true",
        help="the machine with all its disks, as --pretend reads it, on standard output",
    )
    parser.add_argument(
        "--mask",
        action="store_true",
        help="with --for-pretend: other serial numbers, WWNs, UUID and addresses than its own",
    )


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


def _json(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--json", action="store_true", help="JSON on standard output")


def _max_window(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-window",
        metavar="SIZE",
        type=parse_size,
        default=MAX_WINDOW,
        help=f"memory that decoding may take for its window (default: {size_text(MAX_WINDOW)})",
    )


def declare_pretend(parser: argparse.ArgumentParser) -> None:
    """Let a program take its machine from a file."""
    declare_path(
        parser,
        "--pretend",
        FILE,
        metavar="FILE",
        type=Path,
        help="take the machine from a JSON file: no disk of this computer is looked at or written",
    )
    declare_path(
        parser,
        "--scratch",
        FOLDER,
        metavar="DIR",
        type=Path,
        help="with --pretend: keep what is written to its disks in files in DIR"
        " (default: until the program ends)",
    )
