"""``bty-media verify``."""

from __future__ import annotations

import argparse
from pathlib import Path

from bty_core.program.console import Console
from bty_core.program.envelope import envelope
from bty_core.values import size_text
from bty_media.check import differences
from bty_media.exits import Exit
from bty_media.manifest import read
from bty_media.progress import counting


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Compare a build with its manifest, and say each difference."""
    folder: Path = arguments.folder
    manifest = read(folder)
    with counting(console, "reading", manifest.size, quiet=True) as tick:
        found = differences(folder, manifest, tick)
    if arguments.json:
        facts = {
            "path": str(folder),
            "kind": manifest.kind.value,
            "version": manifest.version,
            "equal": not found,
            "differences": found,
        }
        console.data(envelope("verify-build", facts))
    elif not found:
        count = len(manifest.files)
        console.data(
            f"{folder} is whole: {manifest.kind} {manifest.version},"
            f" {count} file{'' if count == 1 else 's'}, {size_text(manifest.size)}"
        )
    for one in found:
        console.say(f"bty-media: {one}")
    if found:
        console.say("     hint: build it again, or copy it again from where it came")
    return Exit.INTEGRITY if found else Exit.DONE
