"""The command line of ``bty-tui``, declared."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from bty_agent import __version__
from bty_agent.cli import DEFAULT_IMAGE_ROOT, declare_pretend
from bty_agent.exits import Exit, exit_codes
from bty_agent.paths import FILE, FOLDER, declare_path
from bty_agent.unattended.failure import RUN_DIR
from bty_core.program.parser import program_parser
from bty_core.values import MacAddress

KEYS = """\
keys:
  Up, Down       choose (also Home, End, Page Up, Page Down)
  Enter          take what is pointed at
  Esc            go back
  Ctrl-C         leave; asks once. While it writes: stop; asks too
  letters        search a long list; Backspace takes one away
On a terminal that cannot draw (TERM=dumb) questions are answered by
numbers, b goes back and q leaves.
"""
_CODES = (Exit.DONE, Exit.BUG, Exit.USAGE, Exit.PROGRAM_MISSING, Exit.INTERRUPTED)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``bty-tui``."""
    parser = program_parser(
        "bty-tui",
        __version__,
        "Choose an image and a disk, and write one onto the other, verified.",
        f"{KEYS}\n{exit_codes(*_CODES)}",
    )
    parser.add_argument(
        "--server",
        metavar="URL",
        default=os.environ.get("BTY_SERVER") or None,
        help="the bty-web that has the images and hears what is done"
        " (default: $BTY_SERVER, or bty.server of the kernel command line)",
    )
    parser.add_argument(
        "--mac",
        metavar="MAC",
        type=MacAddress.parse,
        help="what the server knows this machine by"
        " (default: bty.mac of the kernel command line, or the only network interface)",
    )
    declare_path(
        parser,
        "--root",
        FOLDER,
        type=Path,
        default=Path(os.environ.get("BTY_IMAGE_ROOT") or DEFAULT_IMAGE_ROOT),
        help="the folder of the images of this computer"
        f" (default: $BTY_IMAGE_ROOT, or {DEFAULT_IMAGE_ROOT})",
    )
    parser.add_argument(
        "--fix-gpt",
        action="store_true",
        help="move the backup of the GPT to the end of the disk, where that is larger than the image",
    )
    declare_path(
        parser,
        "--cmdline",
        FILE,
        metavar="FILE",
        type=Path,
        help="where the kernel command line is read (default: /proc/cmdline)",
    )
    declare_path(
        parser,
        "--run-dir",
        FOLDER,
        metavar="DIR",
        type=Path,
        help=f"where an unattended flash that failed left its reason (default: {RUN_DIR})",
    )
    declare_pretend(parser)
    return parser
