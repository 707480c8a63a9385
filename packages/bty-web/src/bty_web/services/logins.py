"""Whether a password lets somebody in: the database knows, or on the server appliance the system does."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bty_web.models import User
from bty_web.services import appliance, users
from bty_web.services.appliance import USER, PasswordIsTheSystems
from bty_web.settings import Settings


def is_the_systems(settings: Settings, name: str) -> bool:
    """Whether this user's password is the system's, so that passwd changes it and nothing here does."""
    return settings.appliance_dir is not None and name == USER


def check(session: Session, settings: Settings, name: str, password: str) -> bool:
    """Whether this is the password of this user; raise `HelperSilent` where the system cannot be asked."""
    if settings.appliance_dir is not None and is_the_systems(settings, name):
        return appliance.password_is_right(settings.appliance_dir, password[:1000])
    return users.check(session, name, password) is not None


def user(session: Session, settings: Settings, name: str, *, now: datetime) -> User:
    """Return the user who came in by this name; raise `NotFound` for one who was removed meanwhile."""
    if is_the_systems(settings, name):
        return users.of_the_system(session, now=now)
    return users.get(session, name)


def insist_on_ours(settings: Settings, name: str) -> None:
    """Raise `PasswordIsTheSystems` where the password of `name` cannot be changed here."""
    if is_the_systems(settings, name):
        raise PasswordIsTheSystems(
            f"the password of {name} is this system's own",
            hint=f"change it there: sudo passwd {name}",
        )


def stamp(settings: Settings, name: str) -> str:
    """Return what changes when the system's password of `name` does, so that sessions can end; else nothing."""
    if settings.appliance_dir is None or not is_the_systems(settings, name):
        return ""
    found = appliance.passwords(settings.appliance_dir)
    return found.stamp if found else ""


def defaults_in_place(settings: Settings) -> tuple[str, ...]:
    """Return the users of the appliance who still have the password that everybody knows."""
    if settings.appliance_dir is None:
        return ()
    found = appliance.passwords(settings.appliance_dir)
    return found.default if found else ()
