"""The API for programs: ``/api/v1``, with bearer tokens."""

from __future__ import annotations

from flask import Flask

from bty_web.settings import Settings


def init_app(app: Flask, settings: Settings) -> None:
    """Register the API."""
