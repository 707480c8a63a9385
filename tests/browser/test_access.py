"""Every page can be read by everybody: contrast, names, order; in light and dark, and on a phone."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visiting
from tests.browser.machine import MIB, Machine
from tests.browser.server import IMAGE, Server

pytestmark = pytest.mark.browser
PAGES = (
    "/ui/",
    "/ui/machines",
    "/ui/machines/add",
    "/ui/machines/1",
    "/ui/machines/2",
    "/ui/machines/2/reflash",
    "/ui/machines/2/attempts/2",
    "/ui/groups",
    "/ui/images",
    f"/ui/image/{IMAGE}",
    "/ui/live",
    "/ui/events",
    "/ui/settings",
    "/ui/settings/proxy-dhcp",
    "/ui/settings/account",
    "/ui/settings/tokens",
)


@pytest.fixture(scope="module")
def room(server: Server) -> Server:
    """The server with a machine that is being flashed, one that failed, and one that is new."""
    server.ready(IMAGE)
    ends = ("52:54:00:e1:00:01", "52:54:00:e1:00:02", "52:54:00:e1:00:03")
    going, failed, _ = machines = [Machine(server.url, mac) for mac in ends]
    for machine in machines:
        machine.boot()
        machine.inventory()
    going.progress("writing", MIB, 3 * MIB, bottleneck="disk-bound")
    failed.failed(code="x", message="it broke", hint="mend it", log="line\n" * 50)
    return server


def serious(page: Page) -> list[str]:
    """Return what axe finds that shuts somebody out; axe comes with its package."""
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:160]}"
        for one in Axe().run(page).response["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_shuts_anybody_out(visits: Visiting, room: Server, scheme: str) -> None:
    found: list[str] = []
    with visits(logged_in=False, color_scheme=scheme) as visit:
        visit.go("/ui/login")
        found += [f"login: {one}" for one in serious(visit.page)]
        visit.log_in()
        expect(visit.page.locator("h1")).to_have_text("Dashboard")
        for path in PAGES:
            visit.go(path)
            expect(visit.page.locator("h1")).to_have_count(1)
            found += [f"{path}: {one}" for one in serious(visit.page)]
    assert found == []


def test_no_page_scrolls_sideways_on_a_phone(visits: Visiting, room: Server) -> None:
    wide: list[str] = []
    with visits(viewport={"width": 360, "height": 740}, has_touch=True) as visit:
        for path in PAGES:
            visit.go(path)
            expect(visit.page.locator("h1")).to_have_count(1)
            width = visit.page.evaluate("document.documentElement.scrollWidth")
            if width > 360:
                wide.append(f"{path}: {width}")
    assert wide == []
