"""What outsiders name things is text on every page, and orders to nobody."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visiting
from tests.browser.machine import Machine
from tests.browser.server import DISK, Server, add_image

pytestmark = pytest.mark.browser
MARKUP = '"><script>document.title="owned"</script>'
COMMAND = "x${cmd}"
BOTH = f"{MARKUP} {COMMAND}"


def test_a_name_is_shown_as_it_is(visits: Visiting, server: Server) -> None:
    machine = Machine(server.url, "52:54:00:c1:00:01")
    machine.boot(product=BOTH, serial=COMMAND)
    disk = {"path": "/dev/sda", "size_bytes": 10**12, "model": BOTH, "serial": MARKUP[:40]}
    machine.inventory(disks=[{**disk, "transport": "sata", "removable": False}], cpu=BOTH)
    with visits() as visit:
        page = visit.page
        visit.refusals.append(422)
        visit.go("/ui/groups")
        page.get_by_label("Name", exact=True).fill(BOTH)
        page.get_by_label("Description").fill(BOTH)
        page.get_by_role("button", name="Add the group").click()
        expect(page.get_by_role("alert")).to_contain_text("a group's name has")
        expect(page.get_by_label("Name", exact=True)).to_have_value(BOTH)
        page.get_by_label("Name", exact=True).fill("rack A")
        page.get_by_role("button", name="Add the group").click()
        expect(page.get_by_role("row").filter(has_text="rack A")).to_contain_text(BOTH)

        visit.go(f"/ui/machine/{machine.mac}")
        page.get_by_label("Name", exact=True).fill(COMMAND)
        page.get_by_label("Notes").fill(BOTH)
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_label("Notes")).to_have_value(BOTH)
        expect(page.get_by_role("alert")).to_contain_text("name")
        page.get_by_label("Name", exact=True).fill("node 1")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("h1")).to_have_text("node 1")
        expect(page.get_by_label("Notes")).to_have_value(BOTH)
        expect(page.get_by_role("region", name="Inventory")).to_contain_text(BOTH)
        machine.failed(code="x", message=BOTH, hint=BOTH, log=f"{BOTH}\n</pre>{BOTH}")
        expect(page.locator("pre").first).to_contain_text(f"</pre>{BOTH}")

        for path in ("/ui/", "/ui/events"):
            visit.go(path)
            visit.sees(MARKUP)
        for path in (f"/ui/machines?q={quote(MARKUP)}", f"/ui/machines?group={quote(MARKUP)}"):
            visit.go(path)
            visit.sees("No machine matches")
            assert page.title() == "Machines - bty"
            assert page.locator("script:not([src])").count() == 0

    assert "${cmd}" not in machine.boot()


def test_a_file_with_a_strange_name_in_the_catalog_harms_no_page(
    visits: Visiting, server: Server
) -> None:
    add_image(server.state / "images", 'a"><b>${cmd}.img', DISK)
    add_image(server.state / "images", "after.img", DISK)
    server.ready("after.img")
    with visits() as visit:
        visit.go("/ui/images")
        expect(visit.page.get_by_role("link", name="after.img")).to_be_visible()
        assert visit.page.locator("table b").count() == 0
