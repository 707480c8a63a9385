"""``bty-web init``."""

from __future__ import annotations

import argparse
import secrets
from string import ascii_lowercase, digits

from sqlalchemy import select

from bty_web import database
from bty_web.console import Console
from bty_web.exits import Exit
from bty_web.models import User
from bty_web.services import clock, keys, readiness, statefolder, users
from bty_web.services.appliance import USER
from bty_web.services.history import BTY
from bty_web.settings import load

# Without those that look alike; 80 bits.
_LETTERS = "".join({*ascii_lowercase, *digits} - {*"01lo"})
_LENGTH = 16


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Make what is not there yet; change nothing that is."""
    settings = load()
    name: str = arguments.user
    for folder in statefolder.make(settings):
        console.say(f"bty-web: made {folder}")
    with statefolder.working(settings):
        keys.load_key(settings.state_dir)
        database.upgrade(settings)
        if settings.appliance_dir is not None and name == USER:
            with readiness.opened(settings) as session:
                users.of_the_system(session, now=clock.now())
            console.say(
                f"bty-web: {settings.state_dir} is set up; the password of {USER} is the system's"
            )
            return Exit.DONE
        with readiness.opened(settings) as session:
            there = session.scalar(select(User.id).where(User.name == name)) is not None
        if there:
            console.say(f"bty-web: {settings.state_dir} is set up, and the user {name} is there")
            console.say(f"hint: bty-web passwd {name} changes the password")
            return Exit.DONE
        asked = console.new_password(name, from_stdin=arguments.password_stdin)
        password = asked or "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
        with readiness.opened(settings) as session:
            users.create(session, name, password, by=BTY, now=clock.now())
    console.say(f"bty-web: added the user {name}; everything is in {settings.state_dir}")
    if asked is None:
        console.say(f"bty-web: this is the password of {name}; it is not shown again")
        console.data(password)
    return Exit.DONE
