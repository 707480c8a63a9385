"""Where a person can go from every page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Flask, request, url_for

# Endpoint, label, and what the endpoints of the pages below it begin with.
PLACES = (
    ("ui.dashboard", "Dashboard", ()),
    ("ui.machines", "Machines", ("ui.machine", "ui.bulk", "ui.add_machine")),
    ("ui.groups", "Groups", ("ui.group",)),
    ("ui.images", "Images", ("ui.image",)),
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
