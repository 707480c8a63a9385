"""What holds for every page: a login, forms that this server made, no script or style inside, foreign text as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO

import pytest
from bs4 import BeautifulSoup
from sqlalchemy import select, update
from werkzeug.routing import Rule

from bty_web.models import Attempt, Group, Machine
from bty_web.models.words import State
from tests.web.site import Site
from tests.web.ui.pages import Browser
from tests.web.ui.seed import seed

OPEN = {"ui.login", "ui.log_in"}
HOSTILE = '"><script>alert(1)</script>\n<img src=x onerror=alert(1)>'


def rules(site: Site) -> Iterator[Rule]:
    for rule in site.app.url_map.iter_rules():
        if rule.endpoint.startswith("ui.") and rule.endpoint not in OPEN:
            yield rule


def plain(site: Site) -> Iterator[Rule]:
    """The pages whose address says nothing but where they are."""
    for rule in rules(site):
        if "GET" in (rule.methods or ()) and not rule.arguments and rule.endpoint != "ui.stream":
            yield rule


def address(site: Site, rule: Rule, **values: object) -> str:
    found: dict[str, object] = {
        name: values.get(name, 1 if converter.regex.isdigit() or "d" in converter.regex else "x")
        for name, converter in rule._converters.items()
    }
    with site.app.test_request_context():
        built = site.app.url_map.bind("localhost").build(rule.endpoint, found)
    return str(built)


def test_every_page_wants_a_login(site: Site) -> None:
    seen = 0
    for rule in rules(site):
        where = address(site, rule)
        if "GET" in (rule.methods or ()):
            answer = site.client.get(where)
            assert (answer.status_code, answer.headers.get("Location", "")[:9]) == (
                302,
                "/ui/login",
            ), where
            seen += 1
    assert seen > 15


def test_every_form_wants_its_token(browser: Browser) -> None:
    site = browser.site
    browser.get("/ui/")
    posts = [rule for rule in rules(site) if "POST" in (rule.methods or ())]
    assert len(posts) > 8
    for rule in posts:
        where = address(site, rule)
        for data in ({}, {"csrf_token": "forged"}):
            file = {"file": (BytesIO(b"x"), "x.img")}  # an upload looks when the file begins
            answer = site.client.post(
                where, data={**data, **file}, content_type="multipart/form-data"
            )
            assert answer.status_code == 400, where


@pytest.fixture
def hostile(browser: Browser) -> Browser:
    """A server on which everything that strangers decide is an attack."""
    with browser.site.session() as session:
        seed(session, 120)
        session.execute(
            update(Machine).values(product=HOSTILE, image=HOSTILE, target=f"model:{HOSTILE}"[:50])
        )
        session.execute(
            update(Attempt).values(
                message=HOSTILE, hint=HOSTILE, log=HOSTILE, disk=HOSTILE, image=HOSTILE
            )
        )
        session.execute(update(Group).values(description=HOSTILE))
    return browser


def paths(site: Site) -> list[str]:
    with site.session() as session:
        found = [
            (state, session.scalar(select(Attempt).where(Attempt.state == state).limit(1)))
            for state in (State.RUNNING, State.FAILED, State.OFFERED)
        ]
        some = [one for _, one in found if one is not None]
        assert some
        machines = [f"/ui/machines/{one.machine_id}" for one in some]
        attempts = [f"/ui/machines/{one.machine_id}/attempts/{one.id}" for one in some]
    return [
        *(address(site, rule) for rule in plain(site)),
        "/ui/machines?q=%22%3E%3Cscript%3E",
        "/ui/machines?size=250",
        "/ui/groups/1/remove",
        *machines,
        *(f"{one}/{what}" for one in machines for what in ("now", "history", "remove", "reflash")),
        *attempts,
        *(f"{one}/cancel" for one in attempts),
    ]


def test_foreign_text_stays_text_and_nothing_stands_inline(hostile: Browser) -> None:
    for path in paths(hostile.site):
        answer = hostile.site.client.get(path)
        assert answer.status_code == 200, path
        page = BeautifulSoup(answer.data, "html.parser")
        for script in page.find_all("script"):
            assert str(script.get("src", "")).startswith("/static/"), path
        assert page.find_all("style") == [], path
        assert page.find_all("img") == [], path
        for one in page.find_all(True):
            inline = [name for name in one.attrs if name == "style" or name.startswith("on")]
            assert inline == [], (path, one.name)
        assert re.search(r"<script>alert", answer.get_data(as_text=True)) is None, path
        policy = answer.headers["Content-Security-Policy"]
        assert "script-src 'self'; style-src 'self'" in policy


def test_all_labels_and_names_are_there(hostile: Browser) -> None:
    for path in paths(hostile.site):
        page = hostile.get(path)
        labelled = {label.get("for") for label in page.select("label[for]")}
        for one in page.select("input:not([type=hidden]), select, textarea"):
            named = (
                one.get("id") in labelled or one.has_attr("aria-label") or one.find_parent("label")
            )
            assert named, (path, str(one))
        ids = [one["id"] for one in page.select("[id]")]
        assert len(ids) == len(set(ids)), path
