"""The network interfaces that are hardware."""

from __future__ import annotations

import re
from pathlib import Path

from bty_core.disks.sysfs import read_text
from bty_core.machine.model import Nic

_ETHERNET = "1"  # ARPHRD_ETHER, which wireless cards are too
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
_DIGITS = re.compile(r"(\d+)")


def read_nics(root: Path = Path("/")) -> list[Nic]:
    """Return the Ethernet and wireless interfaces that have hardware, eth2 before eth10.

    Bridges, bonds, tunnels, veth pairs and the virtual functions of a card are left out. A port of
    a bond is shown with its own address, not with the bond's.
    """
    folder = root / "sys/class/net"
    # There are plain files too, such as bonding_masters.
    names = [entry.name for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else []
    found = (_nic(folder / name) for name in sorted(names, key=_natural))
    return [nic for nic in found if nic is not None]


def _nic(folder: Path) -> Nic | None:
    hardware = folder / "device"
    if not hardware.exists() or (hardware / "physfn").exists():
        return None
    if read_text(folder / "type") != _ETHERNET:
        return None
    mac = read_text(folder / "bonding_slave/perm_hwaddr") or read_text(folder / "address") or ""
    mac = mac.lower()
    if not _MAC.fullmatch(mac) or mac == "00:00:00:00:00:00":
        return None
    return Nic(name=folder.name, mac=mac)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _DIGITS.split(name)]
