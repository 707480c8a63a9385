"""Groups."""

from __future__ import annotations

from bs4 import BeautifulSoup

from tests.web.ui.forms import words
from tests.web.ui.pages import Browser, said


def test_groups_are_added_renamed_and_removed(browser: Browser) -> None:
    page = browser.get("/ui/groups")
    assert "There is no group yet" in words(page)
    page = browser.sent(page, "/ui/groups", name="rack A", description="by the window")
    assert said(page) == ["Group rack A is added."]
    again = browser.send(page, "/ui/groups", name="rack A", description="")
    assert again.status_code == 422
    refused = BeautifulSoup(again.data, "html.parser")
    assert said(refused) == ["there is a group 'rack A' already"]
    number = browser.site.add_machine(group="rack A")
    page = browser.sent(page, "/ui/groups/1", name="rack B", description="by the door")
    assert [words(row)[:34] for row in page.select("tbody tr")] == [
        "rack B 1 machine by the door Chang"
    ]
    asked = browser.get("/ui/groups/1/remove")
    assert "Its 1 machine stays, in no group, with its assignment." in words(asked)
    asked.select("main form")[0]["action"] = "/ui/groups/1/remove"
    assert said(browser.sent(asked, "/ui/groups/1/remove")) == ["Group rack B is removed."]
    browser.get(f"/ui/machines/{number}")
    browser.get("/ui/groups/1/remove", status=404)
