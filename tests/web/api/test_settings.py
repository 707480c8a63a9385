"""Settings by the API: what is in force, and where it came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bty_web.extensions import db
from bty_web.settings import Settings
from tests.web.api.programs import Program
from tests.web.site import Site, make_site


def named(listed: Any, name: str) -> dict[str, Any]:
    [found] = [one for one in listed["items"] if one["name"] == name]
    assert found.pop("help")
    return dict(found)


def test_a_change_is_in_force_at_once(site: Site) -> None:
    program = Program.of(site)
    before = named(program.get("/settings").json, "local_boot_grace")
    assert before == {
        "name": "local_boot_grace",
        "value": 180,
        "source": "the default",
        "fixed": False,
        "changeable": True,
        "secret": False,
    }
    answer = program.json("PUT", "/settings", {"local_boot_grace": 60, "default_policy": "local"})
    assert answer.status_code == 200
    after = named(answer.json, "local_boot_grace")
    assert after == {**before, "value": 60, "source": "the Settings page"}
    assert program.get("/settings").json == answer.json
    assert program.json("PUT", "/machines/525400000003", {}).json["boot_policy"] == "local"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"local_boot_grace": 10**6}, "local_boot_grace"),
        ({"local_boot_grace": "60"}, "local_boot_grace"),
        ({"default_policy": "flash", "event_days": 3}, "default_policy"),
        ({"workers": 3}, "workers"),
    ],
)
def test_what_cannot_be_is_refused_whole(site: Site, body: dict[str, Any], field: str) -> None:
    program = Program.of(site)
    before = program.get("/settings").json
    answer = program.json("PUT", "/settings", body)
    assert (answer.status_code, answer.json["field"]) == (422, field)
    assert program.get("/settings").json == before


@pytest.fixture
def fixed_site(server_settings: Settings) -> Iterator[Site]:
    """A server of which environment or file decide some settings."""
    made = make_site(
        replace(
            server_settings,
            event_days=7,
            queue_url="redis://:hunter2@queue/0",
            came_from={"event_days": "BTY_EVENT_DAYS", "queue_url": "BTY_QUEUE_URL"},
        )
    )
    yield made
    made.engine.dispose()
    with made.app.app_context():
        db.engine.dispose()


def test_a_secret_is_never_shown_and_what_is_fixed_says_by_what(fixed_site: Site) -> None:
    program = Program.of(fixed_site)
    answer = program.get("/settings")
    assert "hunter2" not in answer.text
    assert named(answer.json, "queue_url") == {
        "name": "queue_url",
        "value": None,
        "source": "BTY_QUEUE_URL",
        "fixed": True,
        "changeable": False,
        "secret": True,
    }
    assert named(answer.json, "event_days")["fixed"] is True
    refused = program.json("PUT", "/settings", {"event_days": 8})
    assert (refused.status_code, refused.json["detail"]) == (
        422,
        "event_days is fixed by BTY_EVENT_DAYS",
    )
