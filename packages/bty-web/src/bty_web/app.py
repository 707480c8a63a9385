"""The application, put together. Nothing is decided here."""

from __future__ import annotations

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from bty_web import api, database, problems, pxe, security, ui
from bty_web.extensions import csrf, db, login
from bty_web.settings import Settings


def create_app(settings: Settings) -> Flask:
    """Return the web application for `settings`; the database must be up to date (`database.upgrade`).

    Raises `BrokenSetting` when the key for sessions and tokens cannot be read or made.
    """
    app = Flask("bty_web")
    app.config.update(
        SQLALCHEMY_DATABASE_URI=settings.database,
        SQLALCHEMY_ENGINE_OPTIONS=database.engine_options(settings.database),
        SESSION_COOKIE_NAME="bty",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        PERMANENT_SESSION_LIFETIME=14 * 86400,
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session
        MAX_CONTENT_LENGTH=1 << 20,  # a form; the routes that take more say so
    )
    app.extensions["bty"] = settings
    db.init_app(app)
    login.init_app(app)
    csrf.init_app(app)
    with app.app_context():
        database.prepare(db.engine)
    for part in (security, problems, pxe, api, ui):
        part.init_app(app, settings)
    if hops := settings.trusted_proxies:
        trusting = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)
        app.wsgi_app = trusting  # type: ignore[method-assign]
    if settings.pages_socket is not None:
        app.wsgi_app = security.ThroughSocket(app.wsgi_app)  # type: ignore[method-assign]
    return app
