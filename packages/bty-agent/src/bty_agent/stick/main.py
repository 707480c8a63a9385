"""``bty-images-partition``: arguments and a console in, an exit code out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from bty_agent import __version__
from bty_agent.__main__ import run_main
from bty_agent.console import Console
from bty_agent.exits import Exit, exit_codes
from bty_agent.main import ended
from bty_core import proc
from bty_core.disks.sysfs import whole_device
from bty_core.errors import InvalidValue
from bty_core.program.ending import terminated_like_interrupted
from bty_core.program.parser import parse, program_parser
from bty_core.stick.errors import NotAStick
from bty_core.stick.prepare import Prepared, prepare
from bty_core.values import size_text

_CODES = (
    Exit.DONE,
    Exit.BUG,
    Exit.USAGE,
    Exit.PROGRAM_MISSING,
    Exit.REFUSED,
    Exit.WRITE_FAILED,
)
_TIMEOUT = 240.0
_OPTIONS = "noatime,umask=0022,iocharset=utf8"


def run() -> None:
    """Run the program and leave with its exit code."""
    run_main(main)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``bty-images-partition``."""
    parser = program_parser(
        "bty-images-partition",
        __version__,
        "Make and mount the partition BTY_IMAGES on a stick of bty.",
        exit_codes(*_CODES),
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--disk", type=Path, metavar="DISK", help="the stick")
    which.add_argument(
        "--medium-file",
        type=Path,
        metavar="FILE",
        help="a file that names the partition with the root of the live environment",
    )
    parser.add_argument("--mount", type=Path, metavar="DIR", help="mount the partition there")
    return parser


def main(argv: Sequence[str], console: Console) -> Exit:
    """Do it, and say what was done."""
    return ended(console, lambda: _run(argv, console))


def _run(argv: Sequence[str], console: Console) -> Exit:
    with terminated_like_interrupted():
        with redirect_stdout(console.stdout):
            arguments = parse(build_parser(), argv)
        disk: Path = arguments.disk or _disk_of(arguments.medium_file)
        try:
            found = prepare(disk)
        except NotAStick as error:
            if arguments.disk:
                raise
            # The wizard runs all the same: there may be images on other disks, or on a server.
            console.say(f"bty: {error.message}")
            return Exit.DONE
        console.say(f"bty: {_sentence(found)}")
        if arguments.mount:
            _mount(found.partition, arguments.mount, console)
        return Exit.DONE


def _disk_of(file: Path) -> Path:
    """Return the whole disk of the partition that `file` names."""
    try:
        partition = Path(file.read_text().strip())
        found = whole_device(partition.stat().st_rdev)
    except OSError as error:
        raise InvalidValue(
            f"{file} names no device: {(error.strerror or str(error)).lower()}",
            hint="name the stick: --disk /dev/sdX",
        ) from error
    if found is None:
        raise InvalidValue(f"{partition} is no device", hint="name the stick: --disk /dev/sdX")
    name, parent = found
    return Path("/dev", (parent or name).replace("!", "/"))


def _sentence(found: Prepared) -> str:
    what = f"{found.partition} ({size_text(found.size)})"
    if found.made_filesystem:
        return f"{what} is made for images"
    if found.made_partition:
        return f"{what} holds the images of an earlier life of this stick again"
    return f"{what} holds images"


def _mount(partition: Path, folder: Path, console: Console) -> None:
    """Mount `partition`, mended where it was pulled out too early."""
    said = proc.run(["fsck.exfat", "-p", partition], timeout=_TIMEOUT, ok=range(64))
    if "corrupted" in said:
        console.say(f"bty: {partition}: {said.splitlines()[-1]}")
    folder.mkdir(parents=True, exist_ok=True)
    proc.run(["mount", "-t", "exfat", "-o", _OPTIONS, partition, folder], timeout=_TIMEOUT)
    console.say(f"bty: it is mounted on {folder}")


if __name__ == "__main__":
    run()
