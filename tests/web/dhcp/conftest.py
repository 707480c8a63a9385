"""Values for proxy-DHCP."""

from __future__ import annotations

import pytest

from bty_web.dhcp.values import ProxyDhcp

GIVEN = {
    "interface": "eth0",
    "subnet": "10.77.0.0/24",
    "server": "10.77.0.2",
    "url": "http://10.77.0.2:8080",
    "tftp_root": "/var/lib/bty/tftp",
}


@pytest.fixture
def given() -> dict[str, object]:
    """What a person fills in."""
    return dict(GIVEN)


@pytest.fixture
def values(given: dict[str, object]) -> ProxyDhcp:
    """A server at 10.77.0.2."""
    return ProxyDhcp.parse(given)
