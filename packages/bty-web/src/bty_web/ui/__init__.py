"""The pages for people: ``/ui``, with a login."""

from __future__ import annotations

from flask import Flask, redirect, url_for
from werkzeug.wrappers import Response

from bty_web.extensions import login as logins
from bty_web.settings import Settings
from bty_web.ui import (
    account,
    bulk,
    dashboard,
    deeds,
    events,
    filters,
    groups,
    images,
    live_environment,
    login,
    machine,
    machines,
    navigation,
    proxy_dhcp,
    runs,
    seeds,
    settings,
    stream,
    tokens,
    workflows,
)
from bty_web.ui.blueprint import bp

__all__ = [
    "account",
    "bulk",
    "dashboard",
    "deeds",
    "events",
    "groups",
    "images",
    "live_environment",
    "login",
    "machine",
    "machines",
    "proxy_dhcp",
    "runs",
    "seeds",
    "settings",
    "tokens",
    "workflows",
]


def init_app(app: Flask, settings: Settings) -> None:
    """Register the pages."""
    logins.login_message = None  # the page says what it is
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    filters.init_app(app)
    stream.init_app(app, settings)
    navigation.init_app(app)
    app.register_blueprint(bp)
    app.add_url_rule("/", "front", _front)


def _front() -> Response:
    return redirect(url_for("ui.dashboard"))
