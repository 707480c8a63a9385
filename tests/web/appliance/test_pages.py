"""The pages of an appliance: the system's password lets in, and everybody sees while it is the default one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from bty_web.appliance.passwords import tell
from bty_web.dhcp import dnsmasq
from bty_web.extensions import db
from bty_web.services import appliance, users
from bty_web.services.appliance import Passwords
from bty_web.settings import Settings
from bty_web.ui import proxy_dhcp
from tests.web.appliance.helper import answering
from tests.web.cli.running import bty_web
from tests.web.site import NOW, OPERATOR, PASSWORD, Site, make_site
from tests.web.ui.forms import page, read, send, submit, words
from tests.web.ui.pages import Browser, said

RIGHT = "right horse"
HTTPS = "https://server.example"


@pytest.fixture
def site(appliance: Settings, tmp_path: Path) -> Iterator[Site]:
    """An appliance as it is after its first start, whose password is RIGHT."""
    settings = replace(appliance, pages_socket=tmp_path / "pages.sock")
    note(settings, "bty", "odus")
    made = make_site(settings)
    with made.session() as session:
        users.of_the_system(session, now=NOW)
    yield made
    made.engine.dispose()
    with made.app.app_context():
        db.engine.dispose()


def note(settings: Settings, *default: str, stamp: str = "one") -> None:
    """Let the helper have noticed these default passwords."""
    folder = settings.appliance_dir
    assert folder is not None
    found = Passwords(default=default, stamp=stamp)
    tell(found, folder, issue=folder / "issue", motd=folder / "motd")


def log_in(site: Site, name: str = "bty", password: str = RIGHT) -> int:
    """Log in and return the status."""
    folder = site.settings.appliance_dir
    assert folder is not None
    with answering(folder, lambda user, word: (user, word) == ("bty", RIGHT)):
        browser = Browser(site)
        answer = browser.send(browser.get("/ui/login"), "/ui/login", name=name, password=password)
    return answer.status_code


def test_the_systems_password_lets_bty_in(site: Site) -> None:
    assert log_in(site, password="wrong") == 401
    assert site.client.get("/ui/").status_code == 302
    assert log_in(site) == 302
    assert site.client.get("/ui/").status_code == 200


def test_a_password_in_the_database_does_not(site: Site) -> None:
    with site.session() as session:
        users.set_password(session, "bty", PASSWORD, by=OPERATOR, now=NOW)
    assert log_in(site, password=PASSWORD) == 401


def test_other_users_stay_in_the_database(site: Site) -> None:
    with site.session() as session:
        users.create(session, "ann", PASSWORD, by=OPERATOR, now=NOW)
    assert log_in(site, "ann", RIGHT) == 401
    assert log_in(site, "ann", PASSWORD) == 302


def test_a_helper_that_is_silent_is_no_wrong_password(site: Site) -> None:
    browser = Browser(site)
    answer = browser.send(browser.get("/ui/login"), "/ui/login", name="bty", password=RIGHT)
    assert answer.status_code == 503
    found = said(BeautifulSoup(answer.data, "html.parser"))
    assert any("the password of bty cannot be checked" in one for one in found)
    with site.session() as session:
        users.throttled(session, "bty", None, NOW)  # nothing was counted


def test_guessing_gets_slow(site: Site) -> None:
    folder = site.settings.appliance_dir
    assert folder is not None
    with answering(folder, lambda *_: False):
        browser = Browser(site)
        found = browser.get("/ui/login")
        codes = [
            browser.send(found, "/ui/login", name="bty", password=f"guess {n}").status_code
            for n in range(users.PER_NAME + 1)
        ]
    assert codes == [401] * users.PER_NAME + [429]


def test_every_page_nags_until_the_default_passwords_are_changed(site: Site) -> None:
    log_in(site)
    nagged = words(page(site, "/ui/machines").select_one("main .alert"))
    assert nagged == (
        "The default password of bty and of odus is still in place, and everybody knows it."
        " Log in over SSH or on the console as odus and change them:"
        " sudo passwd bty for these pages, passwd for odus."
    )
    note(site.settings, "odus")
    nagged = words(page(site, "/ui/").select_one("main .alert"))
    assert nagged.endswith("as odus and change it: passwd for odus.")
    note(site.settings)
    assert page(site, "/ui/").select_one("main .alert") is None


def test_a_stranger_is_not_told_the_default_password(site: Site) -> None:
    assert "default" not in words(page(site, "/ui/login").find("main"))


def test_passwd_ends_every_session(site: Site) -> None:
    log_in(site)
    note(site.settings, "odus", stamp="two")
    assert site.client.get("/ui/").status_code == 302


def test_the_account_says_where_the_password_is_changed(site: Site) -> None:
    log_in(site)
    found = page(site, "/ui/settings/account")
    assert "sudo passwd bty" in words(found.select_one("section"))
    assert found.select_one("#old") is None
    token = found.select_one("[name=csrf_token]")
    assert token is not None
    form = {"csrf_token": token["value"], "old": RIGHT, "password": PASSWORD, "again": PASSWORD}
    answer = site.client.post("/ui/settings/account/password", data=form)
    assert "the password of bty is this system's own" in words(read(answer, 409).find("main"))


def test_bty_cannot_be_removed(site: Site) -> None:
    with site.session() as session:
        users.create(session, "ann", PASSWORD, by=OPERATOR, now=NOW)
        number = users.get(session, "bty").id
    log_in(site, "ann", PASSWORD)
    assert page(site, "/ui/settings/account").select_one(f"[href*='{number}/remove']") is None
    answer = site.client.get(f"/ui/settings/account/users/{number}/remove")
    assert "is this system's own" in words(read(answer, 409).find("main"))


def test_the_commands_leave_the_systems_password_alone(
    appliance: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BTY_STATE_DIR", str(appliance.state_dir))
    monkeypatch.setenv("BTY_APPLIANCE_DIR", str(appliance.appliance_dir))
    for _ in range(2):
        ran = bty_web("init")
        assert (ran.code, ran.out) == (0, "")
        assert ran.said == [
            f"bty-web: {appliance.state_dir} is set up; the password of bty is the system's"
        ]
    ran = bty_web("passwd", "bty", "--password-stdin", stdin="another word\n")
    assert (ran.code, ran.said) == (
        5,
        [
            "bty-web: the password of bty is this system's own",
            "hint: change it there: sudo passwd bty",
        ],
    )


def test_a_page_that_came_unencrypted_says_where_it_is_encrypted(site: Site) -> None:
    found = page(site, "/ui/login").select_one(".alert a")
    assert found is not None
    assert found["href"] == "https://localhost/ui/login"
    answer = site.client.get("/ui/login", base_url="http://[2001:db8::1]:8080")
    link = read(answer).select_one(".alert a")
    assert link is not None
    assert link["href"] == "https://[2001:db8::1]/ui/login"
    answer = site.client.get("/ui/login", base_url=HTTPS)
    assert read(answer).select_one(".alert") is None


def test_an_encrypted_session_has_a_cookie_that_is_never_sent_in_the_clear(site: Site) -> None:
    cookies = {
        url: site.client.get("/ui/login", base_url=url).headers["Set-Cookie"].partition("=")
        for url in ("http://server.example", HTTPS)
    }
    name, _, rest = cookies["http://server.example"]
    assert (name, "Secure" in rest, "HttpOnly" in rest) == ("bty", False, True)
    name, _, rest = cookies[HTTPS]
    assert (name, "Secure" in rest, "HttpOnly" in rest) == ("__Host-bty", True, True)


def test_machines_are_told_plain_http_on_encrypted_pages_too(site: Site) -> None:
    site.add_image("debian.img")
    site.log_in("ann")
    with (
        site.client.session_transaction("/ui/", base_url=HTTPS) as cookie,
        site.session() as session,
    ):
        cookie["_user_id"] = users.get(session, "ann").get_id()
    found = read(site.client.get("/ui/image/debian.img", base_url=HTTPS))
    assert "http://server.example:8080/images/debian.img" in words(found.find("main"))


@pytest.mark.parametrize(("address", "seen"), [("", "198.51.100.7"), ("192.0.2.9", "192.0.2.9")])
def test_only_the_socket_may_say_who_the_client_is(site: Site, address: str, seen: str) -> None:
    headers = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}
    site.client.get(
        "/pxe/52-54-00-12-34-56", headers=headers, environ_base={"REMOTE_ADDR": address}
    )
    assert site.machine().discovered_from == seen


@pytest.mark.parametrize(
    ("done", "shown"),
    [
        ("on", "This appliance runs dnsmasq with it: said by the helper."),
        ("refused", "said by the helper try this"),
        ("failed", "said by the helper try this"),
        (None, "This appliance is about to run dnsmasq with it."),
    ],
)
def test_the_page_shows_what_became_of_proxy_dhcp(
    site: Site, done: str | None, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy_dhcp, "_PATIENCE", 0.5)
    monkeypatch.setattr(dnsmasq, "check", lambda _: None)
    monkeypatch.setattr(proxy_dhcp, "interfaces", list)
    log_in(site)
    given = {"interface": "eth0", "subnet": "10.77.0.0/24", "server": "10.77.0.2"}
    found = read(submit(site, "/ui/settings/proxy-dhcp", "Preview", **given))
    form = next(one for one in found.find_all("form") if "Activate on eth0" in words(one))
    send(site, "/ui/settings/proxy-dhcp", form)
    folder = site.settings.appliance_dir
    assert folder is not None
    if done is not None:
        values = site.settings.dnsmasq_dir / "bty-pxe.json"
        told = {"done": done, "of": appliance._digest(values), "message": "said by the helper"}
        (folder / appliance.PROXY_DHCP).write_text(json.dumps({**told, "hint": "try this"}))
    state = page(site, "/ui/settings/proxy-dhcp").select_one("section[aria-labelledby=state]")
    assert shown in words(state)
