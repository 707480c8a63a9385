"""A machine from its first network boot to its flashed disk, as its operator sees it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visiting
from tests.browser.machine import INVENTORY, MIB, Machine
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
        expect(page.locator("#attempt-title")).to_contain_text(f": writing {IMAGE}")
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


def test_new_disks_can_be_chosen_without_losing_what_the_form_says(
    visits: Visiting, server: Server
) -> None:
    server.ready(IMAGE)
    machine = Machine(server.url, "52:54:00:a1:00:05")
    machine.boot()
    with visits() as visit:
        page = visit.page
        visit.go(f"/ui/machine/{machine.mac}")
        visit.stay()
        visit.sees("The machine has not shown its disks yet.")
        page.get_by_label("Image", exact=True).select_option(IMAGE)
        page.locator("[name=boot_policy][value=flash-once]").check()
        page.get_by_label("Disk selector").fill("transport:usb")
        first, second = INVENTORY["disks"]
        machine.inventory()
        nvme = page.get_by_role("radio", name="Samsung SSD 980 PRO 500GB")
        expect(nvme).to_be_visible()
        expect(page.get_by_role("region", name="Inventory")).to_contain_text("ST4000NM000A")
        expect(page.get_by_label("Disk selector")).to_be_focused()
        expect(page.get_by_label("Disk selector")).to_have_value("transport:usb")
        expect(page.locator("#by-selector")).to_be_checked()
        expect(page.locator("#target-preview")).to_contain_text("no disk matches")
        nvme.check()

        stick = {**second, "path": "/dev/sdb", "model": "Stick", "serial": "U1", "transport": "usb"}
        machine.inventory(disks=[first, stick])
        expect(page.get_by_role("radio", name="Stick")).to_be_visible()
        expect(page.get_by_role("radio", name="ST4000NM000A")).to_have_count(0)
        expect(nvme).to_be_checked()
        expect(nvme).to_be_focused()

        machine.inventory(disks=[stick])
        kept = page.locator(".choice").filter(has=nvme)
        expect(kept).to_contain_text("It is not in the newest inventory.")
        expect(nvme).to_be_checked()
        expect(page.locator("#target-preview")).to_contain_text("no disk matches")
        assert page.get_by_label("Image", exact=True).input_value() == IMAGE
        assert page.locator("[name=boot_policy]:checked").input_value() == "flash-once"
        assert visit.stayed()
        page.get_by_role("radio", name="Stick").check()
        expect(page.locator("#target-preview")).to_contain_text("matches /dev/sdb")
        page.get_by_role("button", name="Save the assignment").click()
        expect(page.locator(".notices")).to_contain_text("It is kept.")
        expect(page.get_by_role("radio", name="Stick")).to_be_checked()
