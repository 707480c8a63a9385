"""``bty-media install``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from bty_core.errors import InvalidValue
from bty_core.program.console import Console
from bty_core.values import size_text
from bty_media.builds import newest
from bty_media.check import differences
from bty_media.errors import BuildDamaged
from bty_media.exits import Exit
from bty_media.live_tar import LiveTar
from bty_media.manifest import Kind, Manifest, read
from bty_media.progress import counting
from bty_media.server import Server


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Send a network environment to a server."""
    if arguments.token is None:
        raise InvalidValue(
            "the token is missing",
            hint="say --token TOKEN, or put it into the environment as BTY_TOKEN",
        )
    server = Server(arguments.url, arguments.token)
    folder: Path = arguments.live or newest(arguments.output, Kind.PXE).folder
    manifest = _whole(folder, console)
    known = server.look()
    if manifest.version in known:
        console.say(f"bty-media: {server.url} has {manifest.version} already, and looks it over")
    began = time.monotonic()
    tar = LiveTar(folder, manifest)
    with counting(console, "sending", len(tar)) as tar.tick:
        version = server.install(tar)
    if version != manifest.version:
        raise BuildDamaged(
            f"{server.url} answers that it has {version or 'nothing'}, not {manifest.version}",
            hint="look at its page of the live environment",
        )
    console.data(
        f"machines get {version} from {server.url} now:"
        f" {size_text(manifest.size)} in {time.monotonic() - began:.1f} s"
    )
    return Exit.DONE


def _whole(folder: Path, console: Console) -> Manifest:
    """Return the manifest of a network environment that is what it says."""
    manifest = read(folder)
    if manifest.kind is not Kind.PXE:
        raise InvalidValue(
            f"{folder} holds a build of {manifest.kind}, not of the network environment",
            hint="bty-media build pxe makes one",
        )
    with counting(console, "reading", manifest.size, quiet=True) as tick:
        found = differences(folder, manifest, tick)
    if found:
        raise BuildDamaged(
            f"{folder} is not what its manifest says: {'; '.join(found)}",
            hint="build it again, or copy it again from where it came",
        )
    return manifest
