"""Who may log in: passwords, throttled logins, and bearer tokens for the API."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash, generate_password_hash

from bty_core.wire.fields import InvalidField
from bty_web.errors import Conflict, NotAllowed, NotFound, TooMuch
from bty_web.models import ApiToken, LoginFailure, User
from bty_web.models.words import Scope
from bty_web.services import keys
from bty_web.services.appliance import USER
from bty_web.services.history import Actor, record

SHORTEST = 8  # characters of a password
WINDOW = timedelta(minutes=15)
PER_NAME = 10  # failures within the window, from anywhere
PER_ADDRESS = 30
USE_NOTED_EVERY = timedelta(minutes=1)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,79}")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,79}")
_SSH_KEY = re.compile(
    r"(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-[a-z0-9-]+@openssh\.com)"
    r" [A-Za-z0-9+/]{16,}={0,3}( [^\x00-\x1f\x7f\"'{}%]*)?"
)
MOST_KEYS = 20
# No password has this hash.
NO_PASSWORD = "!"
# Checked when there is no such user, so that the time of an answer does not tell who exists.
_NOBODY = "scrypt:32768:8:1$bty$" + "0" * 128


def create(session: Session, name: str, password: str, *, by: Actor, now: datetime) -> User:
    """Add a user; raise `InvalidField` for a name or password that cannot be."""
    if not _NAME.fullmatch(name):
        raise InvalidField(
            "name", "a user's name has 1 to 80 letters, digits, dots, hyphens, underscores or @"
        )
    if session.scalar(select(User.id).where(User.name == name)) is not None:
        raise InvalidField("name", f"there is a user '{name}' already", hint="use bty-web passwd")
    user = User(
        name=name,
        password_hash=_hash(password),
        login_serial=secrets.token_hex(16),
        created_at=now,
    )
    session.add(user)
    record(session, "user.created", f"user {name} was added", by=by, now=now, subject=name)
    session.flush()
    return user


def of_the_system(session: Session, *, now: datetime) -> User:
    """Return the user whose password is the system's, made where there is none: nothing here would let it in."""
    user = session.scalar(select(User).where(User.name == USER))
    if user is None:
        user = User(
            name=USER, password_hash=NO_PASSWORD, login_serial=secrets.token_hex(16), created_at=now
        )
        session.add(user)
        session.flush()
    return user


def set_password(session: Session, name: str, password: str, *, by: Actor, now: datetime) -> User:
    """Change a password; every session of that user ends. Raises `NotFound` or `InvalidField`."""
    user = session.scalar(select(User).where(User.name == name))
    if user is None:
        raise NotFound(f"there is no user '{name}'", hint="bty-web init --user NAME adds one")
    user.password_hash = _hash(password)
    user.login_serial = secrets.token_hex(16)
    record(
        session,
        "user.password",
        f"the password of {name} was changed",
        by=by,
        now=now,
        subject=name,
    )
    session.flush()
    return user


def set_ssh_keys(session: Session, name: str, text: str, *, by: Actor, now: datetime) -> None:
    """Keep the public SSH keys of a user, one on each line, for the templates of seeds.

    Raises `NotFound`, or `InvalidField` for a line that is no public key.
    """
    user = get(session, name)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if "PRIVATE KEY" in line:
            raise InvalidField(
                "ssh_keys", "this is a private key", hint="paste the file that ends in .pub"
            )
        if len(line) > 2000 or not _SSH_KEY.fullmatch(line):
            raise InvalidField(
                "ssh_keys",
                f"'{line[:40]}' is no public SSH key",
                hint="a line begins as ssh-ed25519 AAAA…, as in the file that ends in .pub",
            )
    if len(lines) > MOST_KEYS:
        raise InvalidField("ssh_keys", f"at most {MOST_KEYS} keys are kept for a user")
    user.ssh_keys = "".join(f"{line}\n" for line in lines)
    told = f"{name} has {len(lines)} public SSH {'key' if len(lines) == 1 else 'keys'} now"
    record(session, "user.ssh-keys", told, by=by, now=now, subject=name)
    session.flush()


def end_sessions(session: Session, name: str, *, by: Actor, now: datetime) -> None:
    """Log a user out everywhere; the password stays. Raises `NotFound`."""
    user = session.scalar(select(User).where(User.name == name))
    if user is None:
        raise NotFound(f"there is no user '{name}'")
    user.login_serial = secrets.token_hex(16)
    told = f"{name} was logged out everywhere"
    record(session, "user.sessions", told, by=by, now=now, subject=name)
    session.flush()


def get(session: Session, name: str) -> User:
    """Return a user; raise `NotFound`."""
    user = session.scalar(select(User).where(User.name == name))
    if user is None:
        raise NotFound(f"there is no user '{name}'", hint="the names are on Settings, Account")
    return user


def tokens_of(session: Session, name: str) -> Sequence[ApiToken]:
    """Return the bearer tokens that a user has made."""
    mine = select(ApiToken).where(ApiToken.created_by == name)
    return session.scalars(mine.order_by(ApiToken.label)).all()


def remove(session: Session, name: str, *, by: Actor, now: datetime) -> list[str]:
    """Remove a user; return the labels of the tokens that go too. Every session of that user ends.

    Raises `NotFound`, and `Conflict` for the last user.
    """
    # All of them: two users who remove each other at the same time wait here, and the second is told.
    people = {one.name: one for one in session.scalars(select(User).with_for_update()).all()}
    if name not in people:
        raise NotFound(f"there is no user '{name}'")
    if len(people) == 1:
        raise Conflict(
            f"{name} is the only user: nobody could log in", hint="add another one first"
        )
    tokens = tokens_of(session, name)
    labels = [token.label for token in tokens]
    for token in tokens:
        session.delete(token)
    session.delete(people[name])
    told = f"user {name} was removed"
    if labels:
        told += f", with the API tokens {', '.join(labels)}"
    record(session, "user.removed", told, by=by, now=now, subject=name)
    session.flush()
    return labels


def _hash(password: str) -> str:
    if len(password) < SHORTEST:
        raise InvalidField("password", f"a password has at least {SHORTEST} characters")
    if len(password) > 1000:
        raise InvalidField("password", "a password has at most 1000 characters")
    return generate_password_hash(password)


def throttled(session: Session, name: str, address: str | None, now: datetime) -> None:
    """Raise `TooMuch` when too many logins have failed lately, for this name or from this address."""
    since = LoginFailure.at > now - WINDOW
    count = select(func.count()).select_from(LoginFailure)
    by_name = session.scalar(count.where(LoginFailure.name == name[:80], since)) or 0
    by_address = session.scalar(count.where(LoginFailure.address == (address or ""), since)) or 0
    if by_name >= PER_NAME or by_address >= PER_ADDRESS:
        minutes = int(WINDOW.total_seconds() // 60)
        raise TooMuch("too many logins have failed", hint=f"wait {minutes} minutes and try again")


def check(session: Session, name: str, password: str) -> User | None:
    """Return the user of these words, or None. Takes as long for a name that nobody has."""
    user = session.scalar(select(User).where(User.name == name[:80]))
    right = check_password_hash(user.password_hash if user else _NOBODY, password[:1000])
    return user if right else None


def login_failed(session: Session, name: str, *, by: Actor, now: datetime) -> None:
    """Count a login that failed."""
    session.execute(delete(LoginFailure).where(LoginFailure.at < now - WINDOW))
    session.add(LoginFailure(name=name[:80], address=by.address or "", at=now))
    told = f"a login as '{name[:80]}' failed"
    record(session, "login.failed", told, by=by, now=now, subject=name[:80])


def logged_in(session: Session, user: User, *, by: Actor, now: datetime) -> None:
    """Note a login and forget the failures before it."""
    user.last_login_at = now
    mine = or_(LoginFailure.name == user.name, LoginFailure.address == (by.address or ""))
    session.execute(delete(LoginFailure).where(mine))
    record(session, "login", f"{user.name} logged in", by=by, now=now, subject=user.name)


def add_token(
    session: Session, label: str, scope: Scope, *, by: Actor, now: datetime
) -> tuple[ApiToken, str]:
    """Make a bearer token; the text is returned once and never kept. Raises `InvalidField`."""
    label = label.strip()
    if not _LABEL.fullmatch(label):
        raise InvalidField("label", "a label has 1 to 80 letters, digits, blanks, dots or hyphens")
    if session.scalar(select(ApiToken.id).where(ApiToken.label == label)) is not None:
        raise InvalidField("label", f"there is a token '{label}' already", hint="remove it first")
    text = keys.new_api_token()
    token = ApiToken(
        label=label, scope=scope, token_hash=keys.hashed(text), created_by=by.name, created_at=now
    )
    session.add(token)
    record(
        session, "token.created", f"token {label} ({scope}) was made", by=by, now=now, subject=label
    )
    session.flush()
    return token, text


def remove_token(session: Session, number: int, *, by: Actor, now: datetime) -> None:
    """Remove a bearer token; it stops working at once."""
    token = session.get(ApiToken, number)
    if token is None:
        raise NotFound(f"there is no token {number}")
    session.delete(token)
    record(
        session,
        "token.removed",
        f"token {token.label} was removed",
        by=by,
        now=now,
        subject=token.label,
    )


def token_of(session: Session, text: str) -> ApiToken:
    """Return the bearer token that `text` is; raise `NotAllowed`."""
    token = session.scalar(select(ApiToken).where(ApiToken.token_hash == keys.hashed(text)))
    if token is None:
        raise NotAllowed("this bearer token is not known", hint="make one on the Settings page")
    return token


def use_is_news(token: ApiToken, now: datetime) -> bool:
    """Whether the use of `token` is to be noted: once a minute is enough, each noting is a write."""
    return token.last_used_at is None or now - token.last_used_at >= USE_NOTED_EVERY


def note_use(session: Session, number: int, now: datetime) -> None:
    """Note that a bearer token was used."""
    session.execute(update(ApiToken).where(ApiToken.id == number).values(last_used_at=now))
