"""The network interfaces of this host that a boot network can be on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from bty_core.errors import BtyError, CommandFailed
from bty_core.proc import run
from bty_core.values import MacAddress

_TIMEOUT = 10.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One Ethernet interface, as the kernel showed it at one moment."""

    name: str
    mac: MacAddress
    networks: tuple[IPv4Interface, ...]  # this host's addresses, each with its subnet
    up: bool  # switched on, with a link
    hardware: bool  # a card, not a bridge or a pair


def interfaces(sysfs: Path = Path("/sys")) -> list[Interface]:
    """Return what the host has, without loopback: hardware first, as the kernel counts them."""
    said = run(["ip", "-json", "address"], timeout=_TIMEOUT)
    try:
        entries = json.loads(said or "[]")
    except ValueError:
        raise CommandFailed("ip -json address answered something that is not JSON") from None
    found = [
        one
        for entry in (entries if isinstance(entries, list) else [])
        if (one := _interface(entry, sysfs))
    ]
    return sorted(found, key=lambda one: not one.hardware)


def _interface(entry: dict[str, Any], sysfs: Path) -> Interface | None:
    # Tunnels and the like have another link type and no MAC address.
    if entry.get("link_type") != "ether":
        return None
    try:
        mac = MacAddress.parse(str(entry.get("address")))
    except BtyError:
        return None
    name = str(entry.get("ifname"))
    networks = tuple(
        IPv4Interface(f"{address['local']}/{address['prefixlen']}")
        for address in entry.get("addr_info", [])
        if address.get("family") == "inet"
    )
    return Interface(
        name=name,
        mac=mac,
        networks=networks,
        up={"UP", "LOWER_UP"} <= set(entry.get("flags", [])),
        hardware=(sysfs / "class/net" / name / "device").exists(),
    )
