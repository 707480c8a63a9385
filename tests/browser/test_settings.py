"""Proxy-DHCP is looked at before it is turned on; tokens are shown once."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Visiting
from tests.browser.server import Server, serving
from tests.browser.visit import visiting

pytestmark = pytest.mark.browser


def free_port() -> int:
    """Return a port that nobody listens on: machines are sent to it, so it must be known before."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def choose_a_network(page: Page) -> None:
    """Take the first network that this machine has, or write one where it has none."""
    networks = page.get_by_label("Network of the machines")
    if networks.count():
        networks.select_option(index=1)
    else:
        page.get_by_label("Interface").fill("eth0")
        page.get_by_label("Subnet").fill("192.168.77.0/24")
        page.get_by_label("This server's address").fill("192.168.77.2")


@pytest.mark.dnsmasq
def test_proxy_dhcp_is_previewed_activated_and_turned_off(
    chromium: Browser, tmp_path: Path
) -> None:
    with (
        serving(tmp_path / "state", BTY_BIND=f"127.0.0.1:{free_port()}") as server,
        visiting(chromium, server) as visit,
    ):
        page = visit.page
        visit.go("/ui/settings/proxy-dhcp")
        expect(page.get_by_role("heading", name="Proxy-DHCP is off")).to_be_visible()
        choose_a_network(page)
        page.get_by_role("button", name="Preview").click()
        preview = page.get_by_role("region", name="Preview")
        expect(preview).to_contain_text("dnsmasq has read it and takes it.")
        expect(preview).to_contain_text(f"New file {server.dnsmasq}:")
        text = preview.get_by_label("The new file").inner_text()
        assert "port=0" in text.splitlines()
        assert ",proxy," in text
        assert not server.dnsmasq.exists(), "a preview wrote"

        page.get_by_role("button", name="Activate on").click()
        expect(page.get_by_role("heading", name="Proxy-DHCP is on")).to_be_visible()
        assert server.dnsmasq.read_text().strip() == text.strip()
        expect(page.locator(".copyable").first).to_contain_text("bty-pxe.conf")

        page.get_by_role("link", name="Turn off").click()
        expect(page.locator("h1")).to_have_text("Turn proxy-DHCP off?")
        page.get_by_role("link", name="Leave it on").click()
        assert server.dnsmasq.exists()
        page.get_by_role("link", name="Turn off").click()
        page.get_by_role("button", name="Turn it off").click()
        expect(page.get_by_role("heading", name="Proxy-DHCP is off")).to_be_visible()
        assert not server.dnsmasq.exists()


def test_a_token_is_shown_once_works_and_ends(visits: Visiting, server: Server) -> None:
    def asked(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        address = f"{server.url}/api/v1/machines"
        return requests.get(address, headers=headers, timeout=30).status_code

    with visits() as visit:
        page = visit.page
        visit.go("/ui/settings/tokens")
        visit.sees("There is no API token")
        page.get_by_label("Label").fill("nightly build")
        page.get_by_role("radio").first.check()
        page.get_by_role("button", name="Make a token").click()
        made = page.get_by_role("region", name="Token nightly build is made")
        token = made.locator("code").first.inner_text()
        assert asked(token) == 200

        visit.go("/ui/settings/tokens")
        expect(page.get_by_role("row").filter(has_text="nightly build")).to_be_visible()
        assert token not in page.content()
        page.get_by_role("link", name="Remove token nightly build").click()
        page.locator("main button.btn-danger").click()
        visit.sees("There is no API token")
        assert asked(token) == 401
