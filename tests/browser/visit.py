"""A person at a browser. Whatever its console complains of, and whatever it fetches elsewhere, is a defect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from tests.browser.server import PASSWORD, USER, Server

LIVE = 10_000  # milliseconds in which a page must show by itself what has changed


@dataclass
class Visit:
    """One window of one person."""

    page: Page
    server: Server
    complaints: list[str] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)  # statuses that the visit is about

    def go(self, path: str) -> None:
        """Open a page of the server."""
        self.page.goto(self.server.url + path)

    def log_in(self, password: str = PASSWORD) -> None:
        """Log in by keyboard and mouse, as everybody does."""
        self.go("/ui/login")
        self.page.get_by_label("Name").fill(USER)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()

    def sees(self, text: str, timeout: float = LIVE) -> None:
        """Wait until some visible element has this text."""
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=timeout)

    def stay(self) -> None:
        """Mark the page as it is loaded now."""
        self.page.evaluate("document.documentElement.dataset.stayed = 'yes'")

    def stayed(self) -> bool:
        """Whether the page was not loaded again since `stay`."""
        return bool(self.page.evaluate("document.documentElement.dataset.stayed === 'yes'"))

    def hear(self, message: ConsoleMessage) -> None:
        """Note what the console says."""
        text = message.text
        # Chromium tells of each answer that is no success: where the visit is about one, that is right.
        if any(f"responded with a status of {status} " in text for status in self.refusals):
            return
        if message.type in ("error", "warning"):
            self.complaints.append(f"{urlsplit(self.page.url).path}: {text}")

    def watch(self, request: Request) -> None:
        """Note what is fetched from elsewhere."""
        if not request.url.startswith((f"{self.server.url}/", "data:", "blob:")):
            self.complaints.append(f"fetched {request.url}")


@contextmanager
def visiting(
    chromium: Browser, server: Server, *, logged_in: bool = True, **options: Any
) -> Iterator[Visit]:
    """Open a window; when it is closed, nothing must have been complained of."""
    options = {"viewport": {"width": 1280, "height": 800}, **options}
    context = chromium.new_context(locale="en-GB", timezone_id="UTC", **options)
    context.set_default_timeout(15_000)
    visit = Visit(context.new_page(), server)
    visit.page.on("console", visit.hear)
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.on("request", visit.watch)
    try:
        if logged_in:
            visit.log_in()
            expect(visit.page.locator("h1")).to_have_text("Dashboard")
        yield visit
    finally:
        context.close()
    assert not visit.complaints, visit.complaints
