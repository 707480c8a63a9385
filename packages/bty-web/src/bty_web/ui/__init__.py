"""The pages for people: ``/ui``, with a login."""

from __future__ import annotations

from flask import Flask

from bty_web.settings import Settings


def init_app(app: Flask, settings: Settings) -> None:
    """Register the pages."""
