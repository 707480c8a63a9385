"""Groups by the API."""

from __future__ import annotations

import pytest

from bty_web.services import groups
from tests.web.api.programs import Program
from tests.web.site import MAC, Site


def test_a_group_is_made_renamed_and_removed_and_its_machines_stay(site: Site) -> None:
    program = Program.of(site)
    made = program.json("POST", "/groups", {"name": "rack 1", "description": "by the window"})
    assert made.status_code == 201
    assert made.headers["Location"] == "/api/v1/groups/rack%201"
    assert made.json == {"name": "rack 1", "description": "by the window", "machines": 0}
    site.add_machine(group="rack 1")
    renamed = program.json("PATCH", "/groups/rack%201", {"name": "rack 2"})
    assert renamed.json == {"name": "rack 2", "description": "by the window", "machines": 1}
    assert program.get("/groups").json == {"items": [renamed.json]}
    assert program.get("/groups/rack%202").json == renamed.json
    assert program.get(f"/machines/{MAC}").json["group"] == "rack 2"
    assert program.ask("DELETE", "/groups/rack%202").status_code == 204
    assert program.get("/groups").json == {"items": []}
    assert program.get(f"/machines/{MAC}").json["group"] is None


def test_a_name_that_is_taken_or_cannot_be_is_refused(site: Site) -> None:
    program = Program.of(site)
    for name in ("one", "two"):
        program.json("POST", "/groups", {"name": name})
    again = program.json("POST", "/groups", {"name": "one"})
    assert (again.status_code, again.json["detail"]) == (422, "there is a group 'one' already")
    taken = program.json("PATCH", "/groups/two", {"name": "one"})
    assert (taken.status_code, taken.json["field"]) == (422, "name")
    for name in ("", " ", "-", "a/b", "a\nb", "<b>", "x" * 81):
        answer = program.json("POST", "/groups", {"name": name})
        assert (answer.status_code, answer.json["field"]) == (422, "name"), name


def test_two_that_take_the_same_name_at_the_same_moment_get_a_conflict(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program.of(site)
    monkeypatch.setattr(groups, "_free", lambda _session, name, _group: name)  # looked before
    assert program.json("POST", "/groups", {"name": "one"}).status_code == 201
    late = program.json("POST", "/groups", {"name": "one"})
    assert (late.status_code, late.json["detail"], late.json["hint"]) == (
        409,
        "something else changed the same thing at the same moment",
        "ask again",
    )
    assert program.get("/groups").json["items"] == [
        {"name": "one", "description": "", "machines": 0}
    ]
