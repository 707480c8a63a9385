"""The same by a browser that runs no scripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visiting
from tests.browser.machine import Machine
from tests.browser.server import DISK, IMAGE, Server

pytestmark = pytest.mark.browser


def test_an_image_is_uploaded_by_a_plain_form(
    visits: Visiting, server: Server, tmp_path: Path
) -> None:
    image = tmp_path / "plain.img"
    image.write_bytes(DISK)
    with visits(java_script_enabled=False) as visit:
        page = visit.page
        visit.go("/ui/images")
        page.get_by_label("File", exact=True).set_input_files(image)
        page.get_by_role("button", name="Upload").click()
        expect(page.locator(".notices")).to_contain_text("plain.img")
        server.ready("plain.img")
        visit.go("/ui/images")
        row = page.get_by_role("row").filter(has_text="plain.img")
        expect(row).to_contain_text("ready")
        expect(row).to_contain_text("raw")


def test_a_machine_is_assigned_and_flashed_again(visits: Visiting, server: Server) -> None:
    server.ready(IMAGE)
    machine = Machine(server.url, "52:54:00:b1:00:01")
    machine.boot()
    machine.inventory()
    with visits(java_script_enabled=False) as visit:
        page = visit.page
        visit.go(f"/ui/machine/{machine.mac}")
        page.get_by_label("Image", exact=True).select_option(IMAGE)
        page.get_by_label("Disk selector").fill("transport:nvme")
        page.get_by_role("button", name="What does it match?").click()
        expect(page.locator("#target-preview")).to_contain_text("matches /dev/nvme0n1")
        page.locator("[name=boot_policy][value=local]").check()
        page.get_by_role("button", name="Save the assignment").click()
        expect(page.locator(".notices")).to_contain_text("It is kept.")
        page.get_by_role("link", name="Reflash now…").click()
        page.get_by_role("button", name="Flash at the next network boot").click()
        expect(page.locator("#now-title")).to_have_text(
            "A network boot now gets an unattended flash"
        )
    assert "bty.mode=auto" in machine.boot()
    assert machine.plan()["target"] == "transport:nvme"
