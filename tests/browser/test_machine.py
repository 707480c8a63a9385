"""A machine from its first network boot to its flashed disk, as its operator sees it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visiting
from tests.browser.machine import MIB, Machine
from tests.browser.server import IMAGE, Server

pytestmark = pytest.mark.browser
TOTAL = 3 * MIB


def now(page: Page) -> str:
    """Return the heading that says what a network boot gets."""
    return page.locator("#now-title").inner_text()


def assigned(page: Page, policy: str) -> None:
    """Fill in image, the first disk of the inventory and a policy, and keep them."""
    page.get_by_label("Image", exact=True).select_option(IMAGE)
    page.get_by_role("radio", name="Samsung SSD 980 PRO 500GB").check()
    page.get_by_role("radio", name=policy, exact=False).and_(
        page.locator(f"[value='{policy}']")
    ).check()
    page.get_by_role("button", name="Save the assignment").click()
    expect(page.locator(".notices")).to_contain_text("It is kept.")


def test_a_machine_appears_is_assigned_and_is_watched_to_its_end(
    visits: Visiting, server: Server
) -> None:
    server.ready(IMAGE)
    machine = Machine(server.url, "52:54:00:a1:00:01")
    with visits() as visit:
        page = visit.page
        visit.go("/ui/machines")
        visit.stay()
        assert "bty.mode=interactive" in machine.boot()
        machine.inventory()
        link = page.get_by_role("link", name=machine.mac)
        expect(link).to_be_visible(timeout=10_000)
        assert visit.stayed()
        link.click()

        expect(page.locator("h1")).to_have_text(machine.mac)
        expect(page.locator("#now-title")).to_have_text("A network boot now gets the wizard")
        page.get_by_role("radio", name="Samsung SSD 980 PRO 500GB").check()
        expect(page.locator("#target-preview")).to_contain_text("matches /dev/nvme0n1")
        assigned(page, "flash-once")
        expect(page.locator("#now-title")).to_have_text(
            "A network boot now gets an unattended flash"
        )

        visit.stay()
        assert "bty.mode=auto" in machine.boot()
        plan = machine.plan()
        assert (plan["mode"], plan["image"]["name"]) == ("auto", IMAGE)
        machine.progress("writing", TOTAL // 4, TOTAL)
        attempt = page.get_by_role("region", name="Attempt").first
        expect(attempt).to_contain_text("25 %")
        expect(attempt.get_by_role("progressbar")).to_have_attribute("value", str(TOTAL // 4))
        machine.progress("writing", TOTAL // 2, TOTAL, bottleneck="network-bound")
        expect(attempt).to_contain_text("50 %")
        expect(attempt).to_contain_text("/s")
        expect(attempt).to_contain_text("network-bound")
        machine.progress("verifying", TOTAL, TOTAL)
        expect(attempt).to_contain_text("verifying")
        machine.done(IMAGE)
        expect(attempt.locator(".state")).to_have_text("done")
        expect(page.get_by_text("Last flashed").first).not_to_contain_text("never")
        expect(page.locator("#now-title")).to_have_text("A network boot now gets its own disk")
        expect(page.get_by_role("region", name="Timeline")).to_contain_text("/dev/nvme0n1")
        assert visit.stayed()


def test_a_failure_shows_its_message_its_hint_and_its_log(visits: Visiting, server: Server) -> None:
    server.ready(IMAGE)
    machine = Machine(server.url, "52:54:00:a1:00:02")
    machine.boot()
    machine.inventory()
    with visits() as visit:
        page = visit.page
        visit.go(f"/ui/machine/{machine.mac}")
        assigned(page, "flash")
        machine.boot()
        visit.stay()
        machine.progress("writing", MIB, TOTAL)
        machine.failed(
            code="disk-write-failed",
            message="/dev/nvme0n1 refused a write at byte 1048576",
            hint="look at the disk's health: smartctl -a /dev/nvme0n1",
            log="writing\nI/O error, dev nvme0n1, sector 2048",
        )
        attempt = page.get_by_role("region", name="Attempt").first
        expect(attempt.locator(".state")).to_have_text("failed")
        visit.sees("/dev/nvme0n1 refused a write at byte 1048576")
        visit.sees("look at the disk's health: smartctl -a /dev/nvme0n1")
        expect(attempt.locator("pre")).to_be_visible()
        expect(attempt.locator("pre")).to_contain_text("I/O error, dev nvme0n1, sector 2048")
        assert visit.stayed()
        visit.go("/ui/")
        concerns = page.get_by_role("region", name="Needs attention")
        expect(concerns).to_contain_text(machine.mac)
        expect(concerns).to_contain_text("/dev/nvme0n1 refused a write at byte 1048576")


def test_cancelling_asks_first_and_the_machine_hears_of_it(
    visits: Visiting, server: Server
) -> None:
    server.ready(IMAGE)
    machine = Machine(server.url, "52:54:00:a1:00:03")
    machine.boot()
    machine.inventory()
    with visits() as visit:
        page = visit.page
        visit.go(f"/ui/machine/{machine.mac}")
        assigned(page, "flash")
        machine.boot()
        assert not machine.progress("writing", MIB, TOTAL)
        page.get_by_role("link", name="Cancel this attempt…").click()
        expect(page.locator("h1")).to_contain_text("Cancel")
        assert not machine.progress("writing", MIB, TOTAL)
        page.locator("main button.btn-danger").click()
        expect(page.get_by_text("it does with its next report")).to_be_visible()
        visit.stay()
        assert machine.progress("writing", 2 * MIB, TOTAL)
        machine.failed(code="cancelled", message="cancelled by an operator")
        attempt = page.get_by_role("region", name="Attempt").first
        expect(attempt.locator(".state")).not_to_have_text("running")
        assert visit.stayed()


def test_a_reflash_asks_and_can_be_taken_back(visits: Visiting, server: Server) -> None:
    server.ready(IMAGE)
    machine = Machine(server.url, "52:54:00:a1:00:04")
    machine.boot()
    machine.inventory()
    with visits() as visit:
        page = visit.page
        visit.go(f"/ui/machine/{machine.mac}")
        assigned(page, "local")
        page.get_by_role("link", name="Reflash now…").click()
        visit.sees("Everything that is on that disk is lost.")
        page.get_by_role("button", name="Flash at the next network boot").click()
        assert now(page) == "A network boot now gets an unattended flash"
        page.get_by_role("button", name="Take the reflash back").click()
        expect(page.locator("#now-title")).to_have_text("A network boot now gets its own disk")
