"""Runs, baselines and credentials by the API."""

from __future__ import annotations

from typing import Any

import pytest

from bty_web.models import Profile, Run
from bty_web.models.words import RunKind, RunState, Scope
from bty_web.online.log import path_of
from bty_web.services import machines, ssh_keys
from tests.web.api.programs import Program
from tests.web.site import MAC, NOW, Site

FACTS: dict[str, Any] = {
    "os": {"id": "debian"},
    "packages": {"htop": "3.4", "zsh": "5.9"},
}


@pytest.fixture
def program(site: Site) -> Program:
    """A program, and a machine."""
    site.add_image()
    site.add_machine(name="build-7")
    return Program.of(site)


def add(site: Site, **values: Any) -> int:
    """Add a run that has ended well, with facts."""
    with site.session() as session:
        fields: dict[str, Any] = {
            "machine_id": machines.get(session, MAC).id,
            "kind": RunKind.WORKFLOW,
            "state": RunState.DONE,
            "revision": 1,
            "image": "debian.img",
            "image_sha256": "a" * 64,
            "workflow": "prove@2",
            "workflow_sha256": "b" * 64,
            "asked_by": "bty",
            "started_at": NOW,
            "ended_at": NOW,
            "facts": FACTS,
        }
        run = Run(**{**fields, **values})
        session.add(run)
        session.flush()
        return run.id


def test_a_run_is_listed_and_shown_with_its_log(program: Program) -> None:
    site = program.site
    first, second = add(site), add(site, workflow="other@1", state=RunState.FAILED, facts=None)
    log = path_of(site.settings.state_dir, first)
    log.parent.mkdir(parents=True)
    log.write_text("\x1b[1mstep one\x1b[0m\n")
    items = program.get(f"/runs?mac={MAC}").json["items"]
    assert [one["id"] for one in items] == [second, first]
    assert "facts" not in items[0]
    assert [one["id"] for one in program.get("/runs?workflow=prove").json["items"]] == [first]
    shown = program.get(f"/runs/{first}").json
    assert (shown["mac"], shown["state"], shown["log"]) == (str(MAC), "done", "step one\n")
    assert program.get("/runs/99").status_code == 404


def test_a_run_is_cancelled_once(program: Program) -> None:
    number = add(program.site, state=RunState.WAITING, ended_at=None, facts=None)
    assert program.ask("POST", f"/runs/{number}/cancel").json["state"] == "cancelled"
    again = program.ask("POST", f"/runs/{number}/cancel")
    assert (again.status_code, again.json["detail"]) == (
        409,
        f"run {number} has ended: it is cancelled",
    )


def test_a_baseline_is_exported_with_what_drifted(program: Program) -> None:
    url = f"/machines/{MAC}/baseline"
    assert program.get(url).status_code == 404
    add(program.site, facts={**FACTS, "packages": {"htop": "3.3", "zsh": "5.9"}})
    known = add(program.site)
    add(program.site, kind=RunKind.CHECK, facts={**FACTS, "packages": {"htop": "3.4"}})
    found = program.get(url).json
    assert found["baseline"]["facts"] == FACTS
    assert found["baseline"]["run"] == known
    assert found["baseline"]["workflow"] == {"name": "prove@2", "sha256": "b" * 64}
    assert found["since_before"] == [{"fact": "packages / htop", "before": "3.3", "after": "3.4"}]
    assert found["drift"] == [{"fact": "packages / zsh", "before": "5.9", "after": None}]


def test_a_check_wants_a_baseline_and_one_at_a_time(program: Program) -> None:
    url = f"/machines/{MAC}/check"
    refused = program.ask("POST", url)
    assert refused.status_code == 409
    assert refused.json["detail"] == "build-7 has no known-good baseline to compare with"
    add(program.site)
    begun = program.ask("POST", url)
    assert (begun.status_code, begun.json["kind"], begun.json["state"]) == (
        202,
        "check",
        "waiting",
    )
    again = program.ask("POST", url)
    assert again.status_code == 409
    assert again.json["detail"] == f"run {begun.json['id']} on build-7 is under way"


def test_credentials_are_kept_encrypted_and_shown_to_nobody(program: Program) -> None:
    url, pair = "/images/debian.img/credentials", ssh_keys.make_pair()
    assert program.get(url).status_code == 404
    body = {
        "user": "root",
        "key": pair.private,
        "password": "swordfish-7f3a",
        "host_key": f"{pair.public} somebody@somewhere",
    }
    kept = program.json("PUT", url, body)
    assert kept.status_code == 200
    assert kept.json["host_key"] == pair.public
    assert (kept.json["has_key"], kept.json["has_password"]) == (True, True)
    shown = program.get(url)
    assert "swordfish" not in shown.text
    assert "PRIVATE" not in shown.text
    with program.site.session() as session:
        (row,) = session.query(Profile).all()
        assert "swordfish" not in (row.password or "")
        assert "PRIVATE" not in (row.key or "")
    events = program.get("/events?size=100").text
    assert "swordfish" not in events
    assert "the server logs in as root on machines with debian.img" in events
    assert program.ask("DELETE", url).status_code == 204
    assert program.get(url).status_code == 404


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"user": "Root!"}, "user"),
        ({"key": "", "password": ""}, "key"),
        ({"key": "no key"}, "key"),
        ({"password": "a\nb"}, "password"),
        ({"host_key": "AAAA"}, "host_key"),
    ],
)
def test_credentials_that_cannot_be(program: Program, changed: dict[str, str], field: str) -> None:
    body = {"user": "root", "key": "", "password": "x", **changed}
    refused = program.json("PUT", "/images/debian.img/credentials", body)
    assert (refused.status_code, refused.json["field"]) == (422, field)


def test_credentials_want_an_image_and_an_admin(program: Program) -> None:
    body = {"user": "root", "password": "x"}
    assert program.json("PUT", "/images/none.img/credentials", body).status_code == 404
    other = Program.of(program.site, Scope.OPERATE)
    assert other.json("PUT", "/images/debian.img/credentials", body).status_code == 403
