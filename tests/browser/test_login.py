"""The first day: somebody logs in, reads what to do first, and leaves."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.server import USER, Server
from tests.browser.visit import visiting

pytestmark = pytest.mark.browser


def test_a_first_login_says_what_to_do_first(chromium: Browser, empty_server: Server) -> None:
    with visiting(chromium, empty_server, logged_in=False) as visit:
        page = visit.page
        visit.refusals.append(401)
        visit.go("/ui/images")
        expect(page.locator("h1")).to_have_text("Log in")
        page.get_by_label("Name").fill(USER)
        page.get_by_label("Password").fill("wrong battery")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_have_text(
            "this name and password do not belong together check both and try again",
            use_inner_text=True,
        )
        expect(page.get_by_label("Name")).to_have_value(USER)
        expect(page.get_by_label("Password")).to_have_value("")

        visit.log_in()
        expect(page.locator("h1")).to_have_text("Dashboard")
        steps = page.get_by_role("region", name="First steps").get_by_role("listitem")
        expect(steps).to_contain_text(
            [
                "Upload an image",
                "Upload the live environment",
                "Turn on proxy-DHCP",
                "Boot a machine from the network",
            ]
        )
        page.get_by_role("link", name="Upload an image").click()
        expect(page.locator("h1")).to_have_text("Images")
        visit.sees("There is no image yet")

        page.get_by_role("button", name="Log out").click()
        visit.sees("You are logged out.")
        visit.go("/ui/machines")
        expect(page.locator("h1")).to_have_text("Log in")


def test_after_a_login_comes_the_page_that_was_asked_for(
    chromium: Browser, empty_server: Server
) -> None:
    with visiting(chromium, empty_server, logged_in=False) as visit:
        visit.go("/ui/events")
        visit.page.get_by_label("Name").fill(USER)
        visit.page.get_by_label("Password").fill("correct horse battery")
        visit.page.get_by_role("button", name="Log in").click()
        expect(visit.page.locator("h1")).to_have_text("Events")
