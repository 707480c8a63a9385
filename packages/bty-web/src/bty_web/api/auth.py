"""Who asks: bearer tokens and what each may do. No cookie counts here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import g, request

from bty_web.errors import Forbidden, NotAllowed
from bty_web.extensions import db, writing
from bty_web.models.words import Scope
from bty_web.security import client_address
from bty_web.services import clock, users
from bty_web.services.history import Actor

_ORDER = (Scope.READ, Scope.OPERATE, Scope.ADMIN)


@dataclass(frozen=True, slots=True)
class Caller:
    """A program that has shown its token."""

    label: str
    scope: Scope


def demand(scope: Scope) -> None:
    """Let only a program with a token of `scope` go on; raise `NotAllowed` or `Forbidden`."""
    caller = _caller()
    if _ORDER.index(caller.scope) < _ORDER.index(scope):
        raise Forbidden(
            f"the token {caller.label} has the scope {caller.scope}, and this needs {scope}",
            hint="make a token with that scope on the Settings page",
        )
    g.api_caller = caller


def actor() -> Actor:
    """Return who acts, for events; only after `demand`."""
    return Actor(f"token {cast(Caller, g.api_caller).label}", client_address())


def _caller() -> Caller:
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    text = text.strip()
    if kind.lower() != "bearer" or not text:
        raise NotAllowed(
            "this needs a bearer token",
            hint="send it as 'Authorization: Bearer TOKEN'; make one on the Settings page",
        )
    token = users.token_of(db.session(), text[:200])
    caller, now = Caller(token.label, token.scope), clock.now()
    if users.use_is_news(token, now):
        number = token.id
        with writing() as session:
            users.note_use(session, number, now)
    return caller
