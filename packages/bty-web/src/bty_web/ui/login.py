"""Login and logout."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import flask_login
from flask import flash, redirect, render_template, request, session, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from bty_core.errors import BtyError
from bty_web.errors import TooMuch
from bty_web.extensions import db, writing
from bty_web.models import User
from bty_web.security import (
    begin_session,
    client_address,
    encrypted_url,
    login_required,
    process_settings,
)
from bty_web.services import logins, users
from bty_web.services.appliance import HelperSilent
from bty_web.services.clock import now
from bty_web.services.history import Actor
from bty_web.ui.blueprint import bp

WRONG = BtyError("this name and password do not belong together", hint="check both and try again")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginPage:
    """What the login shows. `users` is whether anybody could log in at all."""

    users: bool
    encrypted_url: str | None  # where this page is encrypted, if it is not and could be
    name: str = ""
    error: BtyError | None = None


@bp.get("/login")
def login() -> Response | str:
    """Ask who it is."""
    if flask_login.current_user.is_authenticated:
        return redirect(_next())
    return render_template("login/login.html", page=_page())


@bp.post("/login")
def log_in() -> Response | tuple[str, int]:
    """Let a person in. A wrong name and a wrong password are answered alike."""
    name = request.form.get("name", "").strip()
    password = request.form.get("password", "")
    by = Actor(name or "nobody", client_address())
    try:
        users.throttled(db.session(), name, by.address, now())
    except TooMuch as error:
        return _again(name, error), 429
    # Hashing takes long: before the lock for writing is taken.
    try:
        right = logins.check(db.session(), process_settings(), name, password)
    except HelperSilent as error:
        return _again(name, error), 503
    user = None
    with writing() as unit:
        if right:
            user = logins.user(unit, process_settings(), name, now=now())
            users.logged_in(unit, user, by=by, now=now())
        else:
            users.login_failed(unit, name, by=Actor("nobody", by.address), now=now())
    if user is None:
        return _again(name, WRONG), 401
    session.clear()  # nothing of the session before, its CSRF token included
    session.permanent = True
    begin_session(user)
    return redirect(_next())


@bp.post("/logout")
@login_required
def logout() -> Response:
    """End the session of this browser."""
    flask_login.logout_user()
    session.clear()
    flash("You are logged out.", "ok")
    return redirect(url_for("ui.login"))


def _again(name: str, error: BtyError) -> str:
    return render_template("login/login.html", page=_page(name, error))


def _page(name: str = "", error: BtyError | None = None) -> LoginPage:
    return LoginPage(
        users=_anybody(), encrypted_url=encrypted_url(url_for("ui.login")), name=name, error=error
    )


def _anybody() -> bool:
    return db.session.scalar(select(User.id).limit(1)) is not None


def _next() -> str:
    """Return where to go: the page that asked for the login, if it is one of ours."""
    wanted = request.values.get("next", "")
    parts = urlsplit(wanted)
    plain = wanted.isprintable() and "\\" not in wanted and not wanted.startswith("//")
    if plain and not parts.scheme and not parts.netloc and parts.path.startswith("/ui/"):
        return wanted
    return url_for("ui.dashboard")
