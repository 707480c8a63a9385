"""Who asks, from where, and what a browser may do with the answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import flask_login
from flask import Flask, Request, Response, current_app, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from werkzeug.exceptions import BadRequest

from bty_web.extensions import db, login
from bty_web.models import User
from bty_web.services import keys, preferences
from bty_web.services.history import Actor
from bty_web.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

# Everything comes from this server; no script or style stands in a page.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_HOST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]_")
_SETTINGS_AGE = 1.0  # seconds that a process may believe what the Settings page kept


class _PagesOnly(SecureCookieSessionInterface):
    """Cookies are for pages: whatever else is asked neither reads nor sends one, so that caches may keep files."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a page, or None where there is none to be had."""
        return super().open_session(app, request) if request.path.startswith("/ui") else None


def init_app(app: Flask, settings: Settings) -> None:
    """Give `app` its key, its users and its headers."""
    app.session_interface = _PagesOnly()
    key = keys.load_key(settings.state_dir)
    app.secret_key = keys.derived(key, "session")
    app.extensions["bty_key"] = key
    login.login_view = "ui.login"
    login.session_protection = None  # sessions end with the password; addresses of people change
    login.user_loader(_user)
    app.after_request(_with_headers)


def _user(kept: str) -> User | None:
    number, _, serial = kept.partition(":")
    if not number.isdecimal():
        return None
    user = db.session.get(User, int(number))
    return user if user is not None and keys.same(serial, user.login_serial) else None


def _with_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if not response.headers.get("Cache-Control"):
        response.headers["Cache-Control"] = "no-store"
    return response


def login_required(view: Callable[P, R]) -> Callable[P, R]:
    """Let only people who have logged in reach `view`."""
    return cast(Callable[P, R], flask_login.login_required(view))


def current_user() -> User:
    """Return who has logged in; only below `login_required`."""
    return cast(User, flask_login.current_user)


def person() -> Actor:
    """Return who acts on a page."""
    return Actor(current_user().name, client_address())


def client_address() -> str | None:
    """Return the address of the client; behind trusted proxies, the one they name."""
    return request.remote_addr[:45] if request.remote_addr else None


def key() -> bytes:
    """Return the server's key."""
    return cast(bytes, current_app.extensions["bty_key"])


def process_settings() -> Settings:
    """Return what environment and file say."""
    return cast(Settings, current_app.extensions["bty"])


def settings() -> Settings:
    """Return the settings in force, the Settings page included."""
    kept: tuple[float, Settings] | None = current_app.extensions.get("bty_effective")
    if kept is None or time.monotonic() - kept[0] > _SETTINGS_AGE:
        kept = (time.monotonic(), preferences.effective(db.session(), process_settings()))
        current_app.extensions["bty_effective"] = kept
    return kept[1]


def settings_changed() -> None:
    """Let this process read the Settings page's values again at once; the others do within a second."""
    current_app.extensions.pop("bty_effective", None)


def base_url() -> str:
    """Return scheme, host and port that the client used, without a slash at the end.

    It becomes a part of scripts for firmware; a host with other characters is refused.
    """
    host = request.host
    if not host or len(host) > 255 or not set(host) <= _HOST:
        raise BadRequest("the Host header is not a host")
    return f"{request.scheme}://{host}"


def limited(most: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a view take a body of at most `most` bytes; a longer one is answered 413."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def inner(*args: P.args, **kwargs: P.kwargs) -> Any:
            request.max_content_length = most
            return view(*args, **kwargs)

        return cast(Callable[P, R], inner)

    return decorate
