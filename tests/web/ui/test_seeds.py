"""The pages with the templates for cloud-init."""

from __future__ import annotations

from bs4 import BeautifulSoup

from tests.web.ui.forms import words
from tests.web.ui.pages import Browser, said

TEMPLATE = "#cloud-config\nhostname: {{ hostname }}\n"


def typed(page: BeautifulSoup, where: str = "#user_data") -> str:
    """Return what stands in a field."""
    return page.select(where)[0].text


def test_a_seed_is_written_looked_at_kept_and_removed(browser: Browser) -> None:
    number = browser.site.add_machine(name="Build 7")
    where = f"/ui/machines/{number}/seed"
    assert browser.get(f"/ui/machines/{number}").select_one(f'a[href="{where}"]')
    page = browser.get(where)
    assert typed(page).startswith("#cloud-config\n")
    tried = browser.send(page, where, "preview=yes", user_data=TEMPLATE)
    shown = BeautifulSoup(tried.data, "html.parser")
    assert "#cloud-config\nhostname: build-7\n" in typed(shown, "pre")
    assert browser.get(where).select("form[action$=remove]") == []  # nothing is kept yet
    page = browser.sent(page, where, user_data=TEMPLATE)
    assert said(page) == ["The seed is kept. It is used at the next flash."]
    assert typed(page).strip() == TEMPLATE.strip()
    page = browser.sent(page, f"{where}/remove")
    assert said(page) == ["The seed is removed."]


def test_what_cannot_be_is_said_and_what_was_typed_is_still_there(browser: Browser) -> None:
    number = browser.site.add_machine(name="Build 7")
    where = f"/ui/machines/{number}/seed"
    answer = browser.send(browser.get(where), where, user_data="#cloud-config\nkey: [1\n")
    assert answer.status_code == 422
    page = BeautifulSoup(answer.data, "html.parser")
    assert "for Build 7" in said(page)[0]
    assert "key: [1" in typed(page, "#user_data.is-invalid")


def test_a_secret_is_not_shown_again(browser: Browser) -> None:
    number = browser.site.add_machine()
    where = f"/ui/machines/{number}/seed"
    secret = "#cloud-config\npassword: swordfish\n"
    page = browser.sent(browser.get(where), where, user_data=secret, secret="yes")
    assert "A secret seed is kept" in words(page)
    assert "swordfish" not in str(page)
    assert typed(page).strip() == ""


def test_a_group_has_one_and_its_machines_say_so(browser: Browser) -> None:
    page = browser.get("/ui/groups")
    browser.sent(page, "/ui/groups", name="rack A", description="")
    number = browser.site.add_machine(name="Build 7", group="rack A")
    where = "/ui/groups/1/seed"
    tried = browser.send(browser.get(where), where, "preview=yes", user_data=TEMPLATE)
    assert "For Build 7" in words(BeautifulSoup(tried.data, "html.parser"))
    browser.sent(browser.get(where), where, user_data=TEMPLATE)
    assert "it gets that of group rack A" in words(browser.get(f"/ui/machines/{number}/seed"))
