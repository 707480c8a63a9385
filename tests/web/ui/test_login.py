"""Who gets in, and what a stranger learns."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup

from bty_web.services import users
from tests.web.site import NOW, OPERATOR, PASSWORD, Site
from tests.web.ui.pages import Browser, said

WRONG = "this name and password do not belong together check both and try again"


def add_user(site: Site) -> None:
    with site.session() as session:
        users.create(session, "ann", PASSWORD, by=OPERATOR, now=NOW)


def test_a_new_server_says_how_to_make_a_user(site: Site) -> None:
    assert said(Browser(site).get("/ui/login")) == [
        "Nobody can log in yet: this server has no user. Run this on the server; it asks for a password, "
        "or makes one and prints it: bty-web init"
    ]


def test_the_first_address_leads_to_the_login_and_on(site: Site) -> None:
    add_user(site)
    browser = Browser(site)
    assert site.client.get("/").headers["Location"] == "/ui/"
    where = site.client.get("/ui/machines?q=x").headers["Location"]
    assert where == "/ui/login?next=%2Fui%2Fmachines%3Fq%3Dx"
    answer = browser.send(browser.get(where), "/ui/login", name="ann", password=PASSWORD)
    assert answer.headers["Location"] == "/ui/machines?q=x"
    assert site.client.get("/ui/").status_code == 200


@pytest.mark.parametrize(("name", "password"), [("ann", "wrong word"), ("nobody", PASSWORD)])
def test_a_wrong_name_and_a_wrong_password_are_answered_alike(
    site: Site, name: str, password: str
) -> None:
    add_user(site)
    browser = Browser(site)
    answer = browser.send(browser.get("/ui/login"), "/ui/login", name=name, password=password)
    assert answer.status_code == 401
    assert said(BeautifulSoup(answer.data, "html.parser")) == [WRONG]
    assert site.client.get("/ui/").status_code == 302


def test_guessing_gets_slow(site: Site) -> None:
    add_user(site)
    browser = Browser(site)
    page = browser.get("/ui/login")
    codes = [
        browser.send(page, "/ui/login", name="ann", password=f"guess {n}").status_code
        for n in range(users.PER_NAME + 1)
    ]
    assert codes == [401] * users.PER_NAME + [429]
    assert browser.send(page, "/ui/login", name="ann", password=PASSWORD).status_code == 429


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/ui/",
        "//evil.example/ui/",
        "/\\evil.example",
        "/ui/\\evil",
        "javascript:alert(1)",
        "/api/v1/machines",
        "/ui/x\r\nSet-Cookie: a=b",
        "\t//evil.example",
    ],
)
def test_the_login_leads_to_no_other_place(site: Site, elsewhere: str) -> None:
    add_user(site)
    browser = Browser(site)
    answer = browser.send(
        browser.get("/ui/login"), "/ui/login", name="ann", password=PASSWORD, next=elsewhere
    )
    assert (answer.status_code, answer.headers["Location"]) == (302, "/ui/")


def test_the_session_is_a_new_one_after_the_login(site: Site) -> None:
    add_user(site)
    browser = Browser(site)
    page = browser.get("/ui/login")
    with site.client.session_transaction("/ui/") as before:
        before["planted"] = "by somebody else"
        token = before["csrf_token"]
    browser.send(page, "/ui/login", name="ann", password=PASSWORD)
    with site.client.session_transaction("/ui/") as after:
        assert "planted" not in after
        assert after.get("csrf_token") != token


def test_logging_out_takes_a_form(browser: Browser) -> None:
    client = browser.site.client
    assert client.get("/ui/logout").status_code == 405
    assert said(browser.sent(browser.get("/ui/"), "/ui/logout")) == ["You are logged out."]
    assert client.get("/ui/").status_code == 302
