"""``bty-web restore FILE``."""

from __future__ import annotations

import argparse

from bty_web.console import Console
from bty_web.exits import Exit
from bty_web.services import clock
from bty_web.services.restoring import restore
from bty_web.settings import load


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Replace database and key by those of a backup."""
    settings = load()
    done = restore(settings, arguments.file, now=clock.now())
    if done.kept is not None:
        console.say(f"bty-web: kept what was there before as {done.kept}")
    made = done.manifest
    console.say(
        f"bty-web: restored {sum(made.rows.values())} rows that bty-web {made.version} wrote"
        f" at {made.made_at:%Y-%m-%d %H:%M} UTC"
    )
    console.say("hint: bty-web serve looks for images again; those that are gone are said so")
    return Exit.DONE
