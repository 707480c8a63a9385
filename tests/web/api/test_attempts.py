"""Attempts by the API: looked at, and cancelled."""

from __future__ import annotations

from tests.web.api.programs import Program
from tests.web.api.seed import seed
from tests.web.site import MAC, Site


def test_a_failed_attempt_shows_why_and_its_log_without_the_token(site: Site) -> None:
    seed(site)
    found = Program.of(site).get("/attempts/1").json
    times = {name: found.pop(name) for name in ("started_at", "heard_at", "ended_at")}
    assert all(one.endswith("Z") for one in times.values())
    assert found == {
        "id": 1,
        "mac": str(MAC),
        "state": "failed",
        "mode": "auto",
        "trigger": "policy",
        "revision": 2,
        "reason": "its boot policy is flash",
        "image": "debian.img",
        "image_sha256": "a" * 64,
        "target": "serial:S5Y1",
        "disk": None,
        "disk_details": None,
        "console": None,
        "queue_position": None,
        "phase": "writing",
        "source_bytes": 0,
        "disk_bytes": 5,
        "total_bytes": 10,
        "bytes_per_second": None,
        "bottleneck": None,
        "bytes_written": None,
        "seconds": None,
        "cancel_asked_at": None,
        "superseded_by": None,
        "online_state": None,
        "code": "write-failed",
        "message": "the disk refused a write",
        "hint": "replace it",
        "log": "bty.token=REDACTED it broke",
    }


def test_lists_are_the_newest_first_without_logs(site: Site) -> None:
    seed(site)
    program = Program.of(site)
    listed = program.get("/attempts").json
    assert [(one["id"], one["state"]) for one in listed["items"]] == [
        (3, "offered"),
        (2, "running"),
        (1, "failed"),
    ]
    assert all("log" not in one for one in listed["items"])
    mine = program.get(f"/attempts?mac={MAC.hyphens}&state=failed").json
    assert [one["id"] for one in mine["items"]] == [1]
    assert program.get("/attempts?mac=52:54:00:ff:ff:ff").status_code == 404


def test_cancelling_asks_one_that_runs_and_ends_one_that_does_not(site: Site) -> None:
    seed(site)
    program = Program.of(site)
    running = program.ask("POST", "/attempts/2/cancel")
    assert (running.status_code, running.json["state"]) == (200, "running")
    assert running.json["cancel_asked_at"] is not None
    offered = program.ask("POST", "/attempts/3/cancel")
    assert (offered.status_code, offered.json["state"]) == (200, "cancelled")
    over = program.ask("POST", "/attempts/1/cancel")
    assert (over.status_code, over.json["code"]) == (409, "attempt-ended")
