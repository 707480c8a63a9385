"""The command line, declared. The parser, the completions and the reference pages all come from here."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import shtab

from bty_agent import __version__
from bty_agent.exits import Exit
from bty_core.disks.select import Selector
from bty_core.errors import BtyError
from bty_core.images.decode import MAX_WINDOW
from bty_core.values import Digest, parse_size, size_text

DEFAULT_IMAGE_ROOT = Path("/var/lib/bty/images")
T = TypeVar("T")

PROGRESS = ("auto", "text", "ndjson", "none")
PROVISIONING = ("none",)
SHELLS = ("bash", "zsh")

_SELECTORS = """\
A disk is named by its path, or found by conditions that are joined with commas:
  /dev/nvme0n1  serial:S64DNX0R  wwn:0x5002538f  by-path:pci-0000:00:17.0-ata-1
  model:Samsung  size>=500G  size<=1TiB  transport:nvme|sata|sas|usb|virtio|mmc
and then, if more than one is left:  smallest  largest  only
Exactly one disk must match. Removable, USB and loop disks match only when they
are named. file:PATH is a regular file that stands for a disk.
"""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help that is never wider than 80 columns."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=80)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``bty``."""
    parser = argparse.ArgumentParser(
        prog="bty",
        description="Put an OS image onto a disk, verified.",
        epilog="exit codes:\n" + "\n".join(f"  {code:>3}  {code.meaning}" for code in Exit),
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"bty {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, summary: str, epilog: str = "") -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=epilog,
            formatter_class=_Formatter,
            allow_abbrev=False,
        )

    _declare_disks(command("disks", "list the disks and say which may be written"))
    _declare_images(command("images", "list the images of a folder"))
    _declare_inspect(command("inspect", "show what an image is and what is in it"))
    _declare_flash(command("flash", "write an image onto a disk", _SELECTORS))
    _declare_verify(command("verify", "compare an image with a disk, writing nothing", _SELECTORS))
    _declare_inventory(command("inventory", "show what this machine is and has"))
    _declare_completion(command("completion", "print the completion script for a shell"))
    return parser


def _declare_disks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--all", action="store_true", help="also loop devices, optical drives and stacked devices"
    )
    _json(parser)


def _declare_images(parser: argparse.ArgumentParser) -> None:
    root = Path(os.environ.get("BTY_IMAGE_ROOT") or DEFAULT_IMAGE_ROOT)
    _path(
        parser,
        "--root",
        shtab.DIRECTORY,
        default=root,
        help=f"the folder (default: $BTY_IMAGE_ROOT, or {DEFAULT_IMAGE_ROOT})",
    )
    _json(parser)


def _declare_inspect(parser: argparse.ArgumentParser) -> None:
    image = parser.add_argument("image", metavar="IMAGE", help="a path or an http(s) address")
    image.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it
    parser.add_argument("--quick", action="store_true", help="look at the start only: no digests")
    _max_window(parser)
    _json(parser)


def _declare_flash(parser: argparse.ArgumentParser) -> None:
    _image_and_target(parser)
    parser.add_argument(
        "--provision",
        choices=PROVISIONING,
        default="none",
        help="what to set up on the disk afterwards (default and only choice: none)",
    )
    parser.add_argument(
        "--sha256",
        metavar="HEX",
        type=_checked(Digest.parse),
        help="what the image's digest must be (default: from IMAGE.sha256 or SHA256SUMS)",
    )
    parser.add_argument(
        "--no-verify", action="store_true", help="do not read the disk back after the write"
    )
    parser.add_argument(
        "--fix-gpt",
        action="store_true",
        help="move the backup of the GPT to the real end of a larger disk",
    )
    _max_window(parser)
    parser.add_argument(
        "--progress",
        choices=PROGRESS,
        default="auto",
        help="a bar or lines on standard error, or events as JSON lines on standard output (default: auto)",
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
        "--progress", choices=("auto", "text", "none"), default="auto", help="as for flash"
    )
    _json(parser)


def _declare_inventory(parser: argparse.ArgumentParser) -> None:
    _json(parser)


def _declare_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="which shell")


def _image_and_target(parser: argparse.ArgumentParser) -> None:
    _path(
        parser,
        "--image",
        shtab.FILE,
        metavar="PATH_OR_URL",
        required=True,
        help="a path or an http(s) address",
    )
    _path(
        parser,
        "--target",
        shtab.FILE,
        metavar="SELECTOR",
        type=_checked(Selector.parse),
        required=True,
        help="the disk: see below",
    )


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="JSON on standard output")


def _max_window(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-window",
        metavar="SIZE",
        type=_checked(parse_size),
        default=MAX_WINDOW,
        help=f"memory that a decoder may use for its window (default: {size_text(MAX_WINDOW)})",
    )


def _path(parser: argparse.ArgumentParser, flag: str, complete: object, **options: object) -> None:
    option = parser.add_argument(flag, **options)  # type: ignore[arg-type]  # passed on as they are
    option.complete = complete  # type: ignore[attr-defined]


def _checked(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Have argparse say what `parse` says of a bad value."""

    def checked(text: str) -> T:
        try:
            return parse(text)
        except BtyError as error:
            raise argparse.ArgumentTypeError(f"{error.message}: {error.hint}") from None

    return checked
