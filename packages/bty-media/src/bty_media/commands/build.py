"""``bty-media build``."""

from __future__ import annotations

import os
import shutil
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from bty_core.errors import BtyError, NeedsRoot, Refused
from bty_core.proc import run as run_program
from bty_core.program.console import Console
from bty_core.values import size_text
from bty_media.builder.live import build_pxe, build_usb
from bty_media.builder.request import Request
from bty_media.builder.server import build_server
from bty_media.builder.wheels import checkout
from bty_media.exits import Exit
from bty_media.host.debian import mirror_of
from bty_media.host.mkosi import find_mkosi
from bty_media.manifest import Kind, read

GIB = 1 << 30
# What the first build of each kind takes, all caches included.
ROOM = {Kind.USB: 5 * GIB, Kind.PXE: 5 * GIB, Kind.SERVER: 10 * GIB}
_BUILDERS: dict[Kind, Callable[[Request], Path]] = {
    Kind.USB: build_usb,
    Kind.PXE: build_pxe,
    Kind.SERVER: build_server,
}


def run(arguments: Namespace, console: Console) -> Exit:
    """Build one medium; standard output gets the folder that it lies in."""
    console.data(str(build(arguments, lambda line: console.say(f"bty-media: {line}"))))
    return Exit.DONE


def build(arguments: Namespace, say: Callable[[str], None]) -> Path:
    """Build one medium and return its folder. Raises a `BtyError` that says what is missing."""
    kind = Kind(arguments.kind)
    if os.geteuid() != 0:
        raise NeedsRoot(
            "building needs root: an image holds files of many owners", hint="run it with sudo"
        )
    cache: Path = arguments.cache.absolute()  # mkosi works in another folder
    output: Path = arguments.output.absolute()
    for folder in (cache, output):
        folder.mkdir(parents=True, exist_ok=True)
    _room(cache, ROOM[kind])
    request = Request(
        mkosi=find_mkosi(cache),
        mirror=mirror_of(arguments.mirror),
        output=output,
        cache=cache,
        epoch=epoch(),
        kernel=arguments.kernel,
        arch=arguments.arch,
        ssh_key=arguments.ssh_key.resolve() if arguments.ssh_key else None,
        extra_packages=tuple(arguments.extra_package),
        say=say,
    )
    began = time.monotonic()
    folder = _BUILDERS[kind](request)
    size = sum(one.size for one in read(folder).files.values())
    say(f"{kind}: {size_text(size)} in {time.monotonic() - began:.0f} s: {folder}")
    return folder


def epoch() -> int:
    """Return the time that a build has: SOURCE_DATE_EPOCH, the checkout's last commit, or this midnight (UTC)."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    if packages := checkout():
        try:
            git = ["git", "-C", str(packages), "log", "-1", "--format=%ct"]
            return int(run_program(git, timeout=60))
        except (BtyError, ValueError):
            pass  # a checkout without its history
    return int(time.time()) // 86400 * 86400


def _room(cache: Path, wanted: int) -> None:
    free = shutil.disk_usage(cache).free
    if free < wanted and not (cache / "built").is_dir():
        raise Refused(
            f"there is too little room for a build: {size_text(free)} free in {cache}, {size_text(wanted)} wanted",
            hint="make room, or name another folder with --cache DIR",
        )
