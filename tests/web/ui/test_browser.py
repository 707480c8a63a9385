"""The pages in a real browser: live, by keyboard, in both colour schemes, on a phone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from sqlalchemy import select

from bty_core.values import MacAddress
from bty_core.wire.reports import InventoryReport
from bty_web.models import Attempt, Machine
from bty_web.models.words import Policy, State
from bty_web.services import machines
from bty_web.services.clock import now
from bty_web.services.machines import Seen
from tests.web.site import INVENTORY, MAC, OPERATOR, PASSWORD, Site
from tests.web.ui.seed import seed
from tests.web.ui.serving import running

pytestmark = pytest.mark.browser

NEW = MacAddress.parse("52:54:00:aa:bb:cc")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Chromium, without a window."""
    words = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=words)
        yield found
        found.close()


@contextmanager
def opened(
    chromium: Browser,
    site: Site,
    url: str,
    *,
    scheme: str = "light",
    width: int = 1280,
    scripts: bool = True,
) -> Iterator[Page]:
    """A page of somebody who has logged in; whatever its console complains of is a failure."""
    complaints: list[str] = []

    def complain(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    context = chromium.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=scripts,
    )
    page = context.new_page()
    page.on("console", complain)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{url}/ui/login")
    page.fill("#name", "operator")
    page.fill("#password", PASSWORD)
    page.click("main button")
    expect(page.locator("h1")).to_have_text("Dashboard")
    yield page
    context.close()
    assert complaints == []


def discover(site: Site, mac: MacAddress) -> None:
    with site.session() as session:
        seen = Seen(address="10.0.0.9", product="NUC")
        machines.discover(session, mac, seen, policy=Policy.TUI, now=now())


def move(site: Site, number: int, disk_bytes: int) -> None:
    with site.session() as session:
        attempt = session.get_one(Attempt, number)
        attempt.disk_bytes = disk_bytes
        machines.touch(session.get_one(Machine, attempt.machine_id))


def an_attempt(site: Site, state: State) -> tuple[int, int]:
    with site.session() as session:
        found = session.scalar(select(Attempt).where(Attempt.state == state).limit(1))
        assert found is not None
        return found.machine_id, found.id


def test_a_new_machine_appears_and_what_was_checked_stays(chromium: Browser, site: Site) -> None:
    site.log_in()
    site.add_machine(name="zebra")
    with running(site.settings) as server, opened(chromium, site, server.url) as page:
        page.goto(f"{server.url}/ui/machines")
        page.get_by_label("Choose zebra").check()
        expect(page.locator("[data-chosen]")).to_have_text("With the 1 chosen machine:")
        discover(site, NEW)
        expect(page.get_by_role("link", name=NEW.text)).to_be_visible(timeout=8000)
        expect(page.get_by_label("Choose zebra")).to_be_checked()
        expect(page.get_by_label("Choose zebra")).to_be_focused()


def test_a_bar_moves_while_somebody_types(chromium: Browser, site: Site) -> None:
    site.log_in()
    with site.session() as session:
        seed(session, 300)
    number, attempt = an_attempt(site, State.RUNNING)
    with running(site.settings) as server, opened(chromium, site, server.url) as page:
        page.goto(f"{server.url}/ui/machines/{number}")
        page.fill("#notes", "half a sent")
        for disk_bytes in (1 * 2**30, 3 * 2**30):
            move(site, attempt, disk_bytes)
            bar = page.locator("progress.large")
            expect(bar).to_have_attribute("value", str(disk_bytes), timeout=5000)
        expect(page.locator("#notes")).to_be_focused()
        expect(page.locator("#notes")).to_have_value("half a sent")


def test_pages_ask_by_themselves_where_there_is_no_stream(chromium: Browser, site: Site) -> None:
    site.log_in()
    with (
        running(site.settings, event_streams=0) as server,
        opened(chromium, site, server.url) as page,
    ):
        page.goto(f"{server.url}/ui/machines")
        discover(site, NEW)
        expect(page.get_by_role("link", name=NEW.text)).to_be_visible(timeout=12000)


def test_a_selector_is_tried_while_it_is_typed(chromium: Browser, site: Site) -> None:
    site.log_in()
    number = site.add_machine()
    with site.session() as session:
        report = InventoryReport.from_wire(INVENTORY)
        machine = machines.get(session, MAC)
        machines.take_inventory(session, machine, report, by=OPERATOR, now=now())
    with running(site.settings) as server, opened(chromium, site, server.url) as page:
        page.goto(f"{server.url}/ui/machines/{number}")
        page.get_by_label("Samsung SSD 980").check()
        expect(page.locator("#target-preview")).to_contain_text("/dev/nvme0n1")
        page.get_by_label("Disk selector").press_sequentially("transport:usb")
        expect(page.locator("#by-selector")).to_be_checked()
        expect(page.locator("#target-preview")).to_contain_text("/dev/sda (Stick")
        page.get_by_role("button", name="Save the assignment").click()
        expect(page.locator(".notices")).to_contain_text("It is kept.")
    assert site.machine().target == "transport:usb"


def test_everything_works_without_scripts(chromium: Browser, site: Site) -> None:
    site.log_in()
    site.add_machine(name="bench")
    with (
        running(site.settings) as server,
        opened(chromium, site, server.url, scripts=False, width=360) as page,
    ):
        page.goto(f"{server.url}/ui/machines")
        page.get_by_label("Choose bench").check()
        page.get_by_role("button", name="Remove…").click()
        expect(page.locator("h1")).to_have_text("Remove this machine?")
        page.get_by_role("button", name="Remove").click()
        expect(page.locator(".notices")).to_contain_text("1 machine is removed.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_hard_to_read_or_to_reach(chromium: Browser, site: Site, scheme: str) -> None:
    site.log_in()
    with site.session() as session:
        seed(session, 300)
    running_one, failed = an_attempt(site, State.RUNNING), an_attempt(site, State.FAILED)
    found: list[str] = []
    with running(site.settings) as server:
        for width in (1280, 360):
            with opened(chromium, site, server.url, scheme=scheme, width=width) as page:
                for path in (
                    "/ui/",
                    "/ui/machines?size=25",
                    f"/ui/machines/{running_one[0]}",
                    f"/ui/machines/{failed[0]}",
                    f"/ui/machines/{failed[0]}/remove",
                    "/ui/machines/add",
                    "/ui/groups",
                    "/ui/images",
                    "/ui/live",
                    "/ui/events",
                    "/ui/settings",
                ):
                    page.goto(server.url + path)
                    wide = page.evaluate("document.documentElement.scrollWidth")
                    assert wide <= width, path
                    for one in Axe().run(page).response["violations"]:
                        nodes = [node["html"][:120] for node in one["nodes"]]
                        found.append(f"{path} {width}: {one['id']}: {nodes[:2]}")
    assert found == []


def test_a_colour_scheme_that_was_chosen_stays(chromium: Browser, site: Site) -> None:
    site.log_in()
    with running(site.settings) as server, opened(chromium, site, server.url) as page:
        colour = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(colour)
        page.get_by_role("button", name="Theme: auto").click()
        dark = page.evaluate(colour)
        assert dark != light
        page.goto(f"{server.url}/ui/machines")
        assert page.evaluate(colour) == dark
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="To the content")).to_be_focused()


def test_filters_are_folded_on_a_phone_and_stand_open_elsewhere(
    chromium: Browser, site: Site
) -> None:
    site.log_in()
    site.add_machine(name="zebra")
    with running(site.settings) as server:
        for scripts in (True, False):
            with opened(chromium, site, server.url, width=360, scripts=scripts) as page:
                page.goto(f"{server.url}/ui/machines")
                expect(page.get_by_label("State")).not_to_be_visible()
                expect(page.get_by_label("Search")).to_be_visible()
                bar, fold = (page.locator(one).bounding_box() for one in (".bulk", ".filters"))
                assert bar is not None
                assert fold is not None
                assert bar["y"] - fold["y"] < 150
                page.get_by_text("Filters", exact=True).click()
                page.get_by_label("Policy").select_option("flash once (flash-once)")
                page.get_by_role("button", name="Show", exact=True).click()
                expect(page.get_by_label("Policy")).to_be_visible()
                expect(page.get_by_text("No machine matches")).to_be_visible()
        with opened(chromium, site, server.url) as page:
            page.goto(f"{server.url}/ui/machines")
            expect(page.get_by_label("State")).to_be_visible()
            expect(page.get_by_text("Filters", exact=True)).not_to_be_visible()
