"""Other numbers in place of those that name one machine in the world."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from bty_core.disks.model import Disk, Partition, Use
from bty_core.machine.model import Inventory, Nic

_WWN = re.compile(r"(?P<kind>0x|eui\.|naa\.|nvme\.|uuid\.)?(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
# What by-path names have of a network: addresses and iSCSI names, and the names of ports.
_OF_NETWORK = re.compile(r"\bip-.*", re.IGNORECASE)
_PORT = re.compile(r"0x[0-9a-f]{12,}", re.IGNORECASE)
_WORDED = 10  # characters; a shorter number becomes a number
_SHORTEST = 6  # characters; a shorter number would be found everywhere


@dataclass
class Mask:
    """Gives each number another one: equal for equal, and as long."""

    known: dict[str, str] = field(default_factory=dict)

    def number(self, text: str | None) -> str | None:
        """Return what stands for a serial number."""
        if not text:
            return text
        size = len(text)
        return self._once(
            text,
            lambda count: (
                f"{count:0{size}}" if size < _WORDED else f"MASKED{count}".ljust(size, "X")
            ),
        )

    def wwn(self, text: str | None) -> str | None:
        """Return what stands for a World Wide Name; how it begins says its kind, and stays."""
        found = _WWN.fullmatch(text or "")
        if not text or found is None:
            return text
        kind, rest = found["kind"] or "", found["rest"]
        return kind + self._once(rest, lambda count: f"{count:0{len(rest)}x}")

    def text(self, text: str) -> str:
        """Return `text` with every number in it that was masked before."""
        for number in sorted(self.known, key=len, reverse=True):
            if len(number) >= _SHORTEST:
                text = re.sub(re.escape(number), self.known[number], text, flags=re.IGNORECASE)
        return text

    def by_path(self, name: str) -> str:
        """Return what stands for a name in /dev/disk/by-path."""
        name = _OF_NETWORK.sub(lambda found: self._once(found[0], "masked-{}".format), name)
        return _PORT.sub(lambda found: self.wwn(found[0]) or "", name)

    def _once(self, text: str, make: Callable[[int], str]) -> str:
        if text not in self.known:
            self.known[text] = make(len(self.known) + 1)
        return self.known[text]


def masked(inventory: Inventory, disks: Iterable[Disk]) -> tuple[Inventory, list[Disk]]:
    """Return both without serial numbers, World Wide Names, UUID and addresses; what was equal stays equal.

    Labels and mount points stay.
    """
    mask = Mask()
    numbered = [
        replace(disk, serial=mask.number(disk.serial), wwn=mask.wwn(disk.wwn)) for disk in disks
    ]
    identity = inventory.identity
    identity = replace(identity, serial=mask.number(identity.serial), uuid=_uuid(identity.uuid))
    whole = replace(inventory, identity=identity, nics=tuple(_nics(inventory.nics)))
    return whole, [_disk(disk, mask) for disk in numbered]


def _disk(disk: Disk, mask: Mask) -> Disk:
    def path(known: Path) -> Path:
        return Path(mask.text(str(known)))

    def part(known: Partition) -> Partition:
        return replace(known, path=path(known.path))

    def use(known: Use) -> Use:
        return replace(known, device=path(known.device), what=mask.text(known.what))

    return replace(
        disk,
        path=path(disk.path),
        by_path=tuple(mask.text(mask.by_path(name)) for name in disk.by_path),
        partitions=tuple(map(part, disk.partitions)),
        uses=tuple(map(use, disk.uses)),
    )


def _nics(nics: Iterable[Nic]) -> Iterator[Nic]:
    # The second digit of such an address says that nobody sold it.
    for place, nic in enumerate(nics, 1):
        yield replace(nic, mac=f"02:00:00:00:{place >> 8:02x}:{place & 255:02x}")


def _uuid(uuid: str | None) -> str | None:
    return "00000000-0000-4000-8000-000000000001" if uuid else uuid
