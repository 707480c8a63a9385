"""``bty-web backup FILE``."""

from __future__ import annotations

import argparse
from pathlib import Path

from bty_web.console import Console
from bty_web.exits import Exit
from bty_web.services import backups, clock, readiness, vault
from bty_web.settings import load


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Write database and key into one file, while the server works."""
    settings = load()
    file: Path = arguments.file
    with readiness.opened(settings):
        pass  # says what to do where there is nothing to back up
    secrets: bool = arguments.with_secrets
    made = backups.make(settings, file.absolute(), now=clock.now(), secrets=secrets)
    rows = sum(made.rows.values())
    console.say(f"bty-web: wrote {rows} rows of {len(made.rows)} tables and the key to {file}")
    console.say(f"bty-web: images are not in it: copy {settings.image_root} as it is")
    if secrets:
        console.say("bty-web: it has the key of what is kept encrypted, such as secret seeds")
    else:
        key = settings.state_dir / vault.NAME
        console.say(f"bty-web: what is kept encrypted needs {key}, which is not in it either")
    console.say(
        "hint: whoever reads the backup can act as this server; keep it as safe as the server"
    )
    return Exit.DONE
