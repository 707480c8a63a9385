"""Events by the API."""

from __future__ import annotations

from tests.web.api.programs import Program
from tests.web.site import MAC, Site


def test_events_say_who_did_what_and_where_from(site: Site) -> None:
    site.add_machine(name="alpha")
    program = Program.of(site)
    program.ask("POST", f"/machines/{MAC}/reflash")
    [found] = program.get(f"/events?kind=machine.reflash&mac={MAC}").json["items"]
    assert found.pop("at").endswith("Z")
    assert found.pop("id") > 0
    assert found == {
        "kind": "machine.reflash",
        "actor": "token ci admin",
        "address": "127.0.0.1",
        "mac": str(MAC),
        "attempt": None,
        "subject": "alpha",
        "message": "will be flashed at its next network boot",
    }
    kinds = [one["kind"] for one in program.get("/events?kind=machine").json["items"]]
    assert kinds == ["machine.reflash", "machine.changed"]
    assert program.get("/events?search=nothing+such").json["total"] == 0
