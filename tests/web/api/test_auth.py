"""Who may do what: tokens and their scopes, and no cookie."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bty_web.models import ApiToken, Event
from bty_web.models.words import Scope
from bty_web.services import clock
from tests.web.api.programs import Program
from tests.web.site import MAC, Site


def problem(status: int, title: str, code: str, detail: str, hint: str) -> dict[str, object]:
    return {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "hint": hint,
    }


@pytest.mark.parametrize("said", [None, "", "Bearer", "Bearer ", "Basic YTpi", "bty_token"])
def test_who_shows_no_token_is_asked_for_one(site: Site, said: str | None) -> None:
    answer = site.client.get(
        "/api/v1/machines", headers={"Authorization": said} if said is not None else {}
    )
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.mimetype == "application/problem+json"
    assert answer.json == problem(
        401,
        "Unauthorized",
        "not-allowed",
        "this needs a bearer token",
        "send it as 'Authorization: Bearer TOKEN'; make one on the Settings page",
    )


def test_a_token_that_nobody_made_is_refused(site: Site) -> None:
    answer = Program(site, "bty_x").get("/machines")
    assert answer.status_code == 401
    assert answer.json == problem(
        401,
        "Unauthorized",
        "not-allowed",
        "this bearer token is not known",
        "make one on the Settings page",
    )


def test_a_cookie_is_no_token(site: Site) -> None:
    site.log_in()
    assert site.client.get("/api/v1/machines").status_code == 401


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [
        (Scope.READ, [200, 403, 403]),
        (Scope.OPERATE, [200, 200, 403]),
        (Scope.ADMIN, [200, 200, 200]),
    ],
)
def test_each_scope_has_the_ones_before_it(site: Site, scope: Scope, statuses: list[int]) -> None:
    site.add_machine()
    program = Program.of(site, scope)
    assert statuses == [
        program.get("/machines").status_code,
        program.ask("POST", f"/machines/{MAC}/reflash").status_code,
        program.get("/settings").status_code,
    ]


def test_a_scope_that_is_too_small_is_named(site: Site) -> None:
    answer = Program.of(site, Scope.READ).ask("DELETE", f"/machines/{MAC}")
    assert answer.json == problem(
        403,
        "Forbidden",
        "forbidden",
        "the token ci read has the scope read, and this needs operate",
        "make a token with that scope on the Settings page",
    )


def test_its_use_is_noted_once_a_minute(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program.of(site)
    start = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
    seen = []
    for seconds in (0, 59, 60):
        monkeypatch.setattr(clock, "now", lambda at=start + timedelta(seconds=seconds): at)
        assert program.get("/machines").status_code == 200
        with site.session() as session:
            used = session.query(ApiToken).one().last_used_at
        assert used is not None
        seen.append((used - start).total_seconds())
    assert seen == [0, 0, 60]


def test_an_event_says_which_token_acted_and_from_where(site: Site) -> None:
    site.add_machine()
    Program.of(site, Scope.OPERATE, "nightly build").ask("POST", f"/machines/{MAC}/reflash")
    with site.session() as session:
        event = session.query(Event).filter_by(kind="machine.reflash").one()
        assert (event.actor, event.address) == ("token nightly build", "127.0.0.1")
