"""``bty-media list``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bty_core.program.console import Console, plain
from bty_core.program.envelope import envelope
from bty_core.values import size_text
from bty_media.builds import Build, find_builds
from bty_media.exits import Exit

_HEAD = ("KIND", "VERSION", "SIZE", "CREATED", "FOLDER")


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """List the builds of a folder."""
    output: Path = arguments.output
    found = find_builds(output)
    if arguments.json:
        facts = {"output": str(output), "builds": [one.wire() for one in found]}
        console.data(envelope("list-builds", facts))
    elif found:
        for line in _aligned([_HEAD, *map(_row, found)]):
            console.data(line)
    else:
        console.say(f"bty-media: there are no builds in {output}")
        console.say(
            "     hint: bty-media build usb makes one, or name another folder with --output"
        )
    for one in found:
        if one.problem and not arguments.json:
            console.say(f"bty-media: {one.problem}")
    return Exit.DONE


def _row(build: Build) -> tuple[str, ...]:
    found = build.manifest
    if found is None:
        return ("?", "-", "-", "-", plain(str(build.folder)))
    return (
        found.kind,
        plain(found.version),
        size_text(found.size),
        f"{found.created:%Y-%m-%d}",
        plain(str(build.folder)),
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return ["  ".join(cells).rstrip() for cells in padded]
