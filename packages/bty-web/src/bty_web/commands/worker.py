"""``bty-web worker``."""

from __future__ import annotations

import argparse

from bty_web.console import Console
from bty_web.errors import BrokenSetting
from bty_web.exits import Exit
from bty_web.services import keys, readiness, statefolder
from bty_web.serving.work import work
from bty_web.settings import load


def run(_arguments: argparse.Namespace, console: Console) -> Exit:
    """Do background work until a signal says to stop."""
    settings = load()
    if not settings.queue_url:
        raise BrokenSetting(
            "there is no queue that another process could work on: BTY_QUEUE_URL is not set",
            hint="bty-web serve does the work itself then; set BTY_QUEUE_URL for both to share it",
        )
    statefolder.make(settings)
    with statefolder.working(settings):
        readiness.insist(settings)
        keys.load_key(settings.state_dir)
        with readiness.opened(settings):
            pass  # the server brings it up to date
        console.say("bty-web: the worker waits for work")
        return Exit(work(settings))
