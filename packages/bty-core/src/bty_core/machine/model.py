"""What this computer is and has, as the kernel showed it at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bty_core.disks.model import Disk


class Firmware(StrEnum):
    """What started the kernel."""

    BIOS = "bios"
    UEFI = "uefi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the firmware says the machine is; None where it says nothing that is its own."""

    vendor: str | None
    product: str | None
    serial: str | None  # only root can read it
    uuid: str | None  # SMBIOS, lower case; only root can read it


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic:
    """One network interface that is hardware."""

    name: str
    mac: str  # lower case, with colons


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All that bty knows of a machine."""

    identity: Identity
    firmware: Firmware
    cpu: str | None
    memory_bytes: int  # that the kernel can use
    disks: tuple[Disk, ...]
    nics: tuple[Nic, ...]

    def wire(self) -> dict[str, Any]:
        """Return the inventory as the JSON values of ``POST /pxe/{mac}/inventory``."""
        return {
            "disks": [_disk(disk) for disk in self.disks],
            "nics": [{"name": nic.name, "mac": nic.mac} for nic in self.nics],
            "cpu": self.cpu,
            "memory_bytes": self.memory_bytes,
            "firmware": self.firmware.value,
            "vendor": self.identity.vendor,
            "product": self.identity.product,
            "serial": self.identity.serial,
            "uuid": self.identity.uuid,
        }


def _disk(disk: Disk) -> dict[str, Any]:
    return {
        "path": str(disk.path),
        "size_bytes": disk.size,
        "serial": disk.serial,
        "wwn": disk.wwn,
        "model": disk.model,
        "transport": disk.transport.value,
        "removable": disk.removable,
    }
