"""The open routes: scripts for firmware, JSON for the live environment, files for both."""

from __future__ import annotations

from flask import Flask

from bty_web.extensions import csrf
from bty_web.pxe import agent, files, views
from bty_web.settings import Settings


def init_app(app: Flask, settings: Settings) -> None:
    """Register the open routes; a token, not a cookie, says who may do what."""
    for blueprint in (views.bp, agent.bp, files.bp):
        csrf.exempt(blueprint)
        app.register_blueprint(blueprint)
