"""``bty-web passwd NAME``."""

from __future__ import annotations

import argparse

from sqlalchemy import select

from bty_core.errors import InvalidValue
from bty_web.console import Console
from bty_web.errors import NotFound
from bty_web.exits import Exit
from bty_web.models import User
from bty_web.services import clock, logins, readiness, users
from bty_web.services.history import BTY
from bty_web.settings import load


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Change a password; that user has to log in again everywhere."""
    settings = load()
    name: str = arguments.name
    logins.insist_on_ours(settings, name)
    with readiness.opened(settings) as session:
        if session.scalar(select(User.id).where(User.name == name)) is None:
            raise NotFound(
                f"there is no user '{name}'", hint=f"bty-web init --user {name} adds one"
            )
    password = console.new_password(name, from_stdin=arguments.password_stdin)
    if password is None:
        raise InvalidValue(
            "there is no terminal to ask for the password on",
            hint="give it on standard input, with --password-stdin",
        )
    with readiness.opened(settings) as session:
        users.set_password(session, name, password, by=BTY, now=clock.now())
    console.say(f"bty-web: changed the password of {name}, who has to log in again everywhere")
    return Exit.DONE
