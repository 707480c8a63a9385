"""Where a person can go from every page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flask_login
from flask import Flask, request, url_for

from bty_web.security import process_settings
from bty_web.services import logins

# Endpoint, label, and what the endpoints of the pages below it begin with.
PLACES = (
    ("ui.dashboard", "Dashboard", ()),
    ("ui.machines", "Machines", ("ui.machine", "ui.bulk", "ui.add_machine", "ui.run")),
    ("ui.groups", "Groups", ("ui.group",)),
    ("ui.images", "Images", ("ui.image",)),
    ("ui.workflows", "Workflows", ("ui.workflow",)),
    ("ui.live", "Live environment", ("ui.live",)),
    ("ui.events", "Events", ()),
    ("ui.settings", "Settings", ("ui.settings", "ui.proxy_dhcp", "ui.account", "ui.token")),
)


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the navigation."""

    label: str
    url: str
    here: bool


def init_app(app: Flask) -> None:
    """Let templates know the navigation."""
    app.context_processor(_places)
    app.context_processor(_defaults)


def _defaults() -> dict[str, Any]:
    """Let every page say that the appliance still has a password that everybody knows."""
    if not flask_login.current_user.is_authenticated:
        return {"defaults": ()}
    return {"defaults": logins.defaults_in_place(process_settings())}


def _places() -> dict[str, Any]:
    here = request.endpoint or ""
    return {
        "places": [
            Place(
                label,
                url_for(endpoint),
                endpoint == here or (bool(below) and here.startswith(below)),
            )
            for endpoint, label, below in PLACES
        ]
    }
