"""Who asks, from where, and what a browser may do with the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import flask
import flask_login
from flask import Flask, Request, Response, current_app, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from werkzeug.exceptions import BadRequest
from werkzeug.middleware.proxy_fix import ProxyFix

from bty_web.extensions import db, login
from bty_web.models import User
from bty_web.services import keys, logins, preferences
from bty_web.services.history import Actor
from bty_web.services.vault import Vault
from bty_web.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

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
_STAMP = "password"  # in the session: `logins.stamp` when it began
_SETTINGS_AGE = 1.0  # seconds that a process may believe what the Settings page kept


class _PagesOnly(SecureCookieSessionInterface):
    """Cookies are for pages: whatever else is asked neither reads nor sends one, so that caches may keep files.

    A page that came encrypted has a cookie of its own name, which browsers never send in the clear; one by
    the same name would also keep somebody who had come both ways from logging in.
    """

    def get_cookie_name(self, app: Flask) -> str:
        """Return the name of the cookie for the way that this request came."""
        return (
            f"__Host-{super().get_cookie_name(app)}"
            if request.is_secure
            else super().get_cookie_name(app)
        )

    def get_cookie_secure(self, app: Flask) -> bool:
        """Whether browsers may send the cookie over HTTPS only."""
        return request.is_secure or super().get_cookie_secure(app)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a page, or None where there is none to be had."""
        return super().open_session(app, request) if request.path.startswith("/ui") else None


class ThroughSocket:
    """Believes who the client is where a request came through the Unix socket: only the proxy can open it.

    Whoever connects to the port says who it is by connecting.
    """

    def __init__(self, wsgi_app: WSGIApplication) -> None:
        self._directly = wsgi_app
        self._believing = ProxyFix(wsgi_app, x_for=1, x_proto=1, x_host=1)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        through = not environ.get("REMOTE_ADDR")  # a Unix socket has no addresses
        return (self._believing if through else self._directly)(environ, start_response)


def init_app(app: Flask, settings: Settings) -> None:
    """Give `app` its key, its users and its headers."""
    app.session_interface = _PagesOnly()
    key = keys.load_key(settings.state_dir)
    app.secret_key = keys.derived(key, "session")
    app.extensions["bty_key"] = key
    app.extensions["bty_vault"] = Vault(settings.state_dir)
    login.login_view = "ui.login"
    login.session_protection = None  # sessions end with the password; addresses of people change
    login.user_loader(_user)
    app.after_request(_with_headers)


def _user(kept: str) -> User | None:
    number, _, serial = kept.partition(":")
    if not number.isdecimal():
        return None
    user = db.session.get(User, int(number))
    if user is None or not keys.same(serial, user.login_serial):
        return None
    # Where passwd changes the password, nobody tells the database of it.
    known = logins.stamp(process_settings(), user.name)
    return user if keys.same(known, flask.session.get(_STAMP, "")) else None


def begin_session(user: User) -> None:
    """Let this browser be `user` until the password changes."""
    flask.session[_STAMP] = logins.stamp(process_settings(), user.name)
    flask_login.login_user(user)


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


def vault() -> Vault:
    """Return what seals and opens the secrets that are kept."""
    return cast(Vault, current_app.extensions["bty_vault"])


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


def machine_url() -> str:
    """Return scheme, host and port for machines, which read plain HTTP only."""
    if request.is_secure and (settings := process_settings()).pages_socket is not None:
        return f"http://{_plain_host()}:{settings.bind.port}"
    return base_url()


def encrypted_url(path: str) -> str | None:
    """Return where a page is encrypted; None where it is already, or never."""
    if request.is_secure or process_settings().pages_socket is None:
        return None
    return f"https://{_plain_host()}{path}"


def _plain_host() -> str:
    """Return the host that the client used, without a port."""
    host = base_url().partition("://")[2]
    return host.rpartition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


def limited(most: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a view take a body of at most `most` bytes; a longer one is answered 413."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def inner(*args: P.args, **kwargs: P.kwargs) -> Any:
            request.max_content_length = most
            return view(*args, **kwargs)

        return cast(Callable[P, R], inner)

    return decorate
