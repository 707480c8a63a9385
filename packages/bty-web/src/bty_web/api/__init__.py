"""The API for programs: ``/api/v1``, with bearer tokens."""

from __future__ import annotations

from flask import Blueprint, Flask

from bty_web.api import (
    attempts,
    document,
    events,
    groups,
    images,
    jobs,
    live,
    machines,
    operations,
    runs,
    seeds,
    settings,
    workflows,
)
from bty_web.extensions import csrf
from bty_web.settings import Settings

# Importing a part declares its operations.
PARTS = (
    attempts,
    document,
    events,
    groups,
    images,
    jobs,
    live,
    machines,
    runs,
    seeds,
    settings,
    workflows,
)


def init_app(app: Flask, settings: Settings) -> None:
    """Register the API; a token, not a cookie, says who may do what."""
    blueprint = Blueprint("api", __name__, url_prefix=operations.PREFIX)
    operations.register(blueprint)
    csrf.exempt(blueprint)
    app.register_blueprint(blueprint)
