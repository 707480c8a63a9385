"""The interfaces of a host, as ip tells them."""

from __future__ import annotations

import json
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from bty_core.errors import CommandFailed
from bty_core.values import MacAddress
from bty_web.dhcp import interfaces as subject
from bty_web.dhcp.interfaces import Interface, interfaces

SAID = [
    {"ifname": "lo", "link_type": "loopback", "address": "00:00:00:00:00:00", "flags": ["UP"]},
    {"ifname": "wg0", "link_type": "none", "flags": ["UP", "LOWER_UP"]},
    {
        "ifname": "br0",
        "link_type": "ether",
        "address": "52:54:00:00:00:02",
        "flags": ["BROADCAST"],
        "addr_info": [],
    },
    {
        "ifname": "eno1",
        "link_type": "ether",
        "address": "52:54:00:00:00:01",
        "flags": ["BROADCAST", "UP", "LOWER_UP"],
        "addr_info": [
            {"family": "inet", "local": "192.168.1.2", "prefixlen": 24},
            {"family": "inet6", "local": "fe80::1", "prefixlen": 64},
        ],
    },
]


def test_hardware_first_and_loopback_never(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "class/net/eno1/device").mkdir(parents=True)
    monkeypatch.setattr(subject, "run", lambda *_, **__: json.dumps(SAID))
    assert interfaces(tmp_path) == [
        Interface(
            name="eno1",
            mac=MacAddress("52:54:00:00:00:01"),
            networks=(IPv4Interface("192.168.1.2/24"),),
            up=True,
            hardware=True,
        ),
        Interface(
            name="br0",
            mac=MacAddress("52:54:00:00:00:02"),
            networks=(),
            up=False,
            hardware=False,
        ),
    ]


@pytest.mark.parametrize("said", ["", "{}", "[]"])
def test_no_interface_is_an_empty_list(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "run", lambda *_, **__: said)
    assert interfaces() == []


def test_nonsense_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "run", lambda *_, **__: "Usage: ip")
    with pytest.raises(CommandFailed) as failure:
        interfaces()
    assert failure.value.message == "ip -json address answered something that is not JSON"
