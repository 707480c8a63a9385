"""``bty-web serve``."""

from __future__ import annotations

import argparse
from dataclasses import replace

from bty_web import database
from bty_web.console import Console
from bty_web.exits import Exit
from bty_web.online.readiness import LOOKS
from bty_web.services import clock, keys, readiness, statefolder, turns
from bty_web.services.readiness import Weight
from bty_web.serving import supervisor
from bty_web.settings import Settings, load


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Answer requests until a signal says to stop."""
    settings = _with_options(load(), arguments)
    statefolder.make(settings)
    with statefolder.working(settings):
        readiness.insist(settings)
        keys.load_key(settings.state_dir)
        database.upgrade(settings)
        _keep_turns(settings)
        for found in readiness.examine(settings, LOOKS):
            if found.what in ("users", "live environment") and found.weight is not Weight.GOOD:
                console.say(f"bty-web: {found.what}: {found.message}")
                console.say(f"hint: {found.hint}")
        if settings.queue_url:
            console.say(
                "bty-web: BTY_QUEUE_URL is set, so background work waits for bty-web worker"
            )
        code = supervisor.serve(
            settings, told=lambda url: console.data(f"serving {url}"), say=console.say
        )
    return Exit(code)


def _keep_turns(settings: Settings) -> None:
    """Give machines that could not report while the server was away the time to do it."""
    engine = database.make_engine(settings)
    try:
        with database.working(engine) as session:
            turns.renew(session, clock.now())
    finally:
        engine.dispose()


def _with_options(settings: Settings, arguments: argparse.Namespace) -> Settings:
    given = {
        name: getattr(arguments, name)
        for name in ("bind", "workers")
        if getattr(arguments, name) is not None
    }
    return replace(settings, **given)
