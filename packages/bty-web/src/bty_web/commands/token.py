"""``bty-web token LABEL``."""

from __future__ import annotations

import argparse

from bty_web.console import Console
from bty_web.exits import Exit
from bty_web.models.words import Scope
from bty_web.services import clock, readiness, users
from bty_web.services.history import COMMAND_LINE
from bty_web.settings import load


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Make a bearer token; it is printed once and never again."""
    with readiness.opened(load()) as session:
        made, text = users.add_token(
            session, arguments.label, Scope(arguments.scope), by=COMMAND_LINE, now=clock.now()
        )
        told = f"bty-web: made the token {made.label} ({made.scope}); it is not shown again"
    console.say(told)
    console.data(text)
    return Exit.DONE
