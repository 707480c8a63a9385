"""By keyboard alone: where one is can be seen, and everything can be reached."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visiting
from tests.browser.machine import Machine
from tests.browser.server import IMAGE, PASSWORD, USER, Server

pytestmark = pytest.mark.browser
FOCUS = """() => {
  const one = document.activeElement, style = getComputedStyle(one);
  const box = one.closest("label.choice") || one, around = getComputedStyle(box);
  const seen = (s) => (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2) || s.boxShadow !== "none";
  const at = one.getBoundingClientRect();
  return [one.outerHTML.slice(0, 120), seen(style) || seen(around), at.width > 0 && at.height > 0];
}"""


def tab_to(page: Page, selector: str, most: int = 120) -> None:
    """Press Tab until an element has the focus; each one on the way must show that it has it."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            continue  # past the end of the page
        what, seen, visible = page.evaluate(FOCUS)
        assert seen, f"nothing shows the focus on {what}"
        assert visible, f"the focus is on something that cannot be seen: {what}"
        if page.evaluate("(one) => document.activeElement.matches(one)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached")


def test_login_and_assignment_need_no_mouse(visits: Visiting, server: Server) -> None:
    server.ready(IMAGE)
    machine = Machine(server.url, "52:54:00:d1:00:01")
    machine.boot()
    machine.inventory()
    with visits(logged_in=False) as visit:
        page, keys = visit.page, visit.page.keyboard
        visit.go("/ui/login")
        expect(page.get_by_label("Name")).to_be_focused()
        keys.type(USER)
        tab_to(page, "#password")
        keys.type(PASSWORD)
        keys.press("Enter")
        expect(page.locator("h1")).to_have_text("Dashboard")

        keys.press("Tab")
        expect(page.get_by_role("link", name="To the content")).to_be_focused()
        tab_to(page, "nav a[href$='/machines']")
        keys.press("Enter")
        expect(page.locator("h1")).to_have_text("Machines")
        tab_to(page, "a[id^=machine-]")
        keys.press("Enter")
        expect(page.locator("h1")).to_have_text(machine.mac)

        tab_to(page, "#image")
        keys.type("debian")
        tab_to(page, "[name=disk]")
        while not page.get_by_role("radio", name="Samsung SSD 980 PRO").is_checked():
            keys.press("ArrowDown")
        tab_to(page, "[name=boot_policy]")
        while not page.locator("[value=flash-once]").is_checked():
            keys.press("ArrowDown")
        tab_to(page, "form[data-assignment] .btn-primary")
        keys.press("Enter")
        expect(page.locator(".notices")).to_contain_text("It is kept.")
        expect(page.locator("#now-title")).to_have_text(
            "A network boot now gets an unattended flash"
        )
