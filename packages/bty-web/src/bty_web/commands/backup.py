"""``bty-web backup FILE``."""

from __future__ import annotations

import argparse
from pathlib import Path

from bty_web.console import Console
from bty_web.exits import Exit
from bty_web.services import backups, clock, readiness
from bty_web.settings import load


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Write database and key into one file, while the server works."""
    settings = load()
    file: Path = arguments.file
    with readiness.opened(settings):
        pass  # says what to do where there is nothing to back up
    made = backups.make(settings, file.absolute(), now=clock.now())
    rows = sum(made.rows.values())
    console.say(f"bty-web: wrote {rows} rows of {len(made.rows)} tables and the key to {file}")
    console.say(f"bty-web: images are not in it: copy {settings.image_root} as it is")
    console.say(
        "hint: whoever reads the backup can act as this server; keep it as safe as the server"
    )
    return Exit.DONE
