"""`probe`: what is shown is kept for the Settings page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bty_core.errors import NeedsRoot
from bty_web import database
from bty_web.dhcp import probe
from bty_web.dhcp.clients import CLIENTS
from bty_web.dhcp.matrix import Matrix, Result
from bty_web.exits import Exit
from bty_web.models import Job
from bty_web.models.words import JobState
from bty_web.settings import Settings
from tests.web.cli.running import bty_web

NOBODY = Matrix(interface="eth9", results=[Result(client=one, answers=()) for one in CLIENTS])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A network on which nobody answers; the interfaces that were asked on."""
    found: list[str] = []

    def ask(interface: str) -> Any:
        found.append(interface)
        return NOBODY.results

    monkeypatch.setattr(probe, "probe", ask)
    return found


def test_the_result_is_shown_and_kept(settings: Settings, asked: list[str]) -> None:
    ran = bty_web("probe", "eth9")
    assert (ran.code, ran.err, asked) == (Exit.DONE, "", ["eth9"])
    assert ran.out.rstrip("\n") == NOBODY.text().rstrip("\n")
    ran = bty_web("probe", "eth9", "--json")
    assert json.loads(ran.out) == NOBODY.wire()
    engine = database.make_engine(settings)
    with database.working(engine) as session:
        jobs = session.scalars(select(Job)).all()
        assert [(job.kind, job.subject, job.state, job.result) for job in jobs] == [
            ("probe", "eth9", JobState.DONE, NOBODY.wire())
        ] * 2
    engine.dispose()


def test_without_a_server_it_is_shown_all_the_same(state: Path, asked: list[str]) -> None:
    ran = bty_web("probe", "eth9")
    assert (ran.code, ran.out.startswith("client")) == (Exit.DONE, True)
    assert ran.said == [
        "bty-web: the Settings page will not show this: there is no database yet",
    ]
    assert not state.exists()


def test_without_root_it_says_so(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_interface: str) -> Any:
        raise NeedsRoot("raw packets need root", hint="sudo bty-web probe eth9")

    monkeypatch.setattr(probe, "probe", refuse)
    ran = bty_web("probe", "eth9")
    assert (ran.code, ran.out) == (Exit.NEEDS_ROOT, "")
    assert ran.said == ["bty-web: raw packets need root", "hint: sudo bty-web probe eth9"]
