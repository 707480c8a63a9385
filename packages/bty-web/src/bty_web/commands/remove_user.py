"""``bty-web remove-user NAME``."""

from __future__ import annotations

import argparse

from bty_web.console import Console
from bty_web.exits import Exit
from bty_web.services import clock, readiness, users
from bty_web.services.history import COMMAND_LINE
from bty_web.settings import load


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Remove a user, whose sessions and tokens end."""
    settings = load()
    name: str = arguments.name
    with readiness.opened(settings) as session:
        users.get(session, name)
        labels = [token.label for token in users.tokens_of(session, name)]
    question = f"bty-web: remove the user {name}{_and(labels)}?"
    if not arguments.yes and not console.confirmed(question):
        console.say("bty-web: nothing was removed")
        return Exit.REFUSED
    with readiness.opened(settings) as session:
        gone = users.remove(session, name, by=COMMAND_LINE, now=clock.now())
    console.say(f"bty-web: removed the user {name}{_and(gone)}, whose sessions have ended")
    return Exit.DONE


def _and(labels: list[str]) -> str:
    return f" and the API tokens {', '.join(labels)}" if labels else ""
