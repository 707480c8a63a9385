"""What lets the server into machines that were flashed: keys of one attempt, or the credentials of an image."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from bty_core.wire.fields import InvalidField
from bty_web.errors import NotFound
from bty_web.models import Access, Attempt, Image, Machine, Profile, Run
from bty_web.models.words import RUN_UNDER_WAY
from bty_web.services import keys, ssh_keys
from bty_web.services.history import Actor, record
from bty_web.services.online_seed import USER, Grant
from bty_web.services.vault import Vault

_USER = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
_HOST_KEY = re.compile(r"(ssh|ecdsa|sk)-[A-Za-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Whom to log in as and with what. `host_key` is public; None where nobody knows it."""

    user: str
    port: int = 22
    key: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    host_key: str | None = None


def grant(
    session: Session, machine: Machine, attempt: Attempt, vault: Vault, base_url: str
) -> Grant:
    """Make the keys of an attempt and keep what the server needs of them; those of earlier ones stay."""
    mine, host = ssh_keys.make_pair(), ssh_keys.make_pair()
    secret = secrets.token_urlsafe(24)
    access = session.get(Access, attempt.id)
    if access is None:
        access = Access(attempt_id=attempt.id, machine_id=machine.id)
        session.add(access)
    access.host_key = host.public
    access.secret = keys.hashed(secret)
    access.key = vault.seal(mine.private)
    access.check_key = access.address = None
    return Grant(
        public_key=mine.public,
        host_private=host.private,
        host_public=host.public,
        up_url=f"{base_url}/pxe/{machine.mac}/up/{secret}",
    )


def flashed(session: Session, machine: Machine, attempt: Attempt) -> None:
    """Forget what let the server into the systems that were on a machine's disk before."""
    earlier = delete(Access).where(
        Access.machine_id == machine.id,
        Access.attempt_id < attempt.id,
        # A run that is under way takes its key off the machine yet, if it still can.
        Access.attempt_id.not_in(
            select(Run.attempt_id).where(
                Run.machine_id == machine.id,
                Run.attempt_id.is_not(None),
                Run.state.in_([*RUN_UNDER_WAY]),
            )
        ),
    )
    session.execute(earlier)


def says_up(session: Session, machine: Machine, secret: str, address: str | None) -> bool:
    """Note from where a machine says that it is up; False for a secret that was not made for it."""
    hashed = keys.hashed(secret)
    for access in session.scalars(select(Access).where(Access.machine_id == machine.id)):
        if keys.same(access.secret, hashed):
            access.address = address
            return True
    return False


def of_attempt(session: Session, attempt: int, vault: Vault) -> Door | None:
    """Return the door that was made for an attempt, or None where its key is gone; raise `VaultLocked`."""
    access = session.get(Access, attempt)
    if access is None or access.key is None:
        return None
    return Door(user=USER, key=vault.open(access.key), host_key=access.host_key)


def checkable(session: Session, machine: Machine) -> Access | None:
    """Return what lets the server ask a machine for its facts, and nothing else, or None."""
    kept = select(Access).where(Access.machine_id == machine.id, Access.check_key.is_not(None))
    return session.scalar(kept.order_by(Access.attempt_id.desc()).limit(1))


def for_facts(session: Session, machine: Machine, vault: Vault) -> Door | None:
    """Return the door through which a machine tells its facts and nothing else, or None."""
    access = checkable(session, machine)
    if access is None or access.check_key is None:
        return None
    return Door(user=USER, key=vault.open(access.check_key), host_key=access.host_key)


def destroyed(session: Session, attempt: int) -> Access | None:
    """Destroy the key of an attempt; return what is left, or None where there was none."""
    access = session.get(Access, attempt)
    if access is not None:
        access.key = None
    return access


def profile_of(session: Session, image: str | None) -> Profile | None:
    """Return the credentials of an image, or None."""
    return session.scalar(select(Profile).where(Profile.image == image)) if image else None


def by_profile(profile: Profile, vault: Vault) -> Door:
    """Return the door that the credentials of an image open; raise `VaultLocked`."""
    return Door(
        user=profile.user,
        port=profile.port,
        key=vault.open(profile.key) if profile.key else None,
        password=vault.open(profile.password) if profile.password else None,
        host_key=profile.host_key,
    )


def profiles(session: Session) -> list[Profile]:
    """Return the credentials of all images, by name."""
    return list(session.scalars(select(Profile).order_by(Profile.image)))


def keep_profile(
    session: Session,
    image: str,
    *,
    user: str,
    port: int,
    key: str,
    password: str,
    host_key: str,
    vault: Vault,
    by: Actor,
    now: datetime,
) -> Profile:
    """Keep the credentials of `image`, in place of what was there; empty texts are not there.

    Raises `InvalidField`, or `NotFound` for an image that is not in the catalog.
    """
    if session.scalar(select(Image.id).where(Image.name == image)) is None:
        raise NotFound(f"there is no image '{image[:120]}'")
    if not _USER.fullmatch(user):
        raise InvalidField("user", "this is no name of a user", hint="for example root, or debian")
    if not 1 <= port <= 65535:
        raise InvalidField("port", "a port is a number from 1 to 65535")
    if not key.strip() and not password:
        raise InvalidField("key", "a private key or a password is needed")
    if key.strip():
        key = key.replace("\r\n", "\n").strip() + "\n"
        ssh_keys.public_of(key)
    if "\n" in password or len(password) > 1000:
        raise InvalidField("password", "a password is one line of at most 1000 characters")
    shown = " ".join(host_key.split()[:2])
    if shown and not _HOST_KEY.fullmatch(shown):
        raise InvalidField(
            "host_key",
            "this is no public host key",
            hint="take a line of /etc/ssh/ssh_host_ed25519_key.pub of the image",
        )
    profile = profile_of(session, image)
    if profile is None:
        profile = Profile(image=image)
        session.add(profile)
    profile.user, profile.port = user, port
    profile.key = vault.seal(key) if key else None
    profile.password = vault.seal(password) if password else None
    profile.host_key = shown or None
    profile.changed_at = now
    told = f"the server logs in as {user} on machines with {image}"
    record(session, "credentials.changed", told, by=by, now=now, subject=image)
    session.flush()
    return profile


def remove_profile(session: Session, image: str, *, by: Actor, now: datetime) -> None:
    """Forget the credentials of `image`; raise `NotFound`."""
    profile = profile_of(session, image)
    if profile is None:
        raise NotFound(f"there are no credentials for '{image[:120]}'")
    session.delete(profile)
    told = f"the server has no credentials for {image} any more"
    record(session, "credentials.removed", told, by=by, now=now, subject=image)
    session.flush()
