"""Disk selectors held against the last inventory of a machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bty_core.disks.select import Condition, Key, Selector, choose, describe
from bty_core.errors import BtyError, InvalidValue
from bty_core.wire.fields import InvalidField
from bty_core.wire.reports import DiskReport, InventoryReport

# Names below /dev/disk are links that only the machine itself can follow.
_LINKS = "/dev/disk/"


@dataclass(frozen=True, slots=True)
class Choice:
    """A disk of the last inventory, and a selector that names it."""

    disk: DiskReport
    selector: str
    lasting: bool  # it means this disk whatever the order in which disks are found


@dataclass(frozen=True, slots=True)
class Preview:
    """What a selector means, as far as the last inventory tells."""

    message: str
    disk: DiskReport | None = None
    error: BtyError | None = None


def inventory_of(inventory: Mapping[str, Any] | None) -> InventoryReport | None:
    """Return a kept inventory, or None where there is none that can be read."""
    if inventory is None:
        return None
    try:
        return InventoryReport.from_wire(inventory)
    except InvalidField:
        return None


def disks_of(inventory: Mapping[str, Any] | None) -> tuple[DiskReport, ...] | None:
    """Return the disks of a kept inventory, or None where there is none that can be read."""
    found = inventory_of(inventory)
    return found.disks if found else None


def choices(inventory: Mapping[str, Any] | None) -> list[Choice]:
    """Return the disks of a kept inventory, each with a selector that names it and no other."""
    disks = disks_of(inventory) or ()
    found: list[Choice] = []
    for disk in disks:
        conditions = [Condition(Key.PATH, str(disk.path))]
        if disk.wwn:
            conditions.insert(0, Condition(Key.WWN, disk.wwn))
        if disk.serial:
            conditions.insert(0, Condition(Key.SERIAL, disk.serial))
        for condition in conditions:
            if Selector((condition,)).filter(disks) == [disk]:
                found.append(Choice(disk, str(condition), condition.key is not Key.PATH))
                break
    return found


def preview(inventory: Mapping[str, Any] | None, text: str) -> Preview | None:
    """Return what `text` means on a machine, for whoever types it; None for an empty text."""
    if not text:
        return None
    try:
        disk = match(inventory, text)
    except BtyError as error:
        return Preview(error.message, error=error)
    if disk is not None:
        return Preview(describe(disk), disk)
    if disks_of(inventory) is None:
        return Preview("the machine has not shown its disks yet: it decides when it boots")
    return Preview("only the machine itself can tell: it decides when it boots")


def parse(text: str) -> Selector:
    """Read a selector for an assignment; raise `InvalidField` for one that means nothing here."""
    try:
        selector = Selector.parse(text)
    except InvalidValue as error:
        raise InvalidField("target", error.message, hint=error.hint) from error
    if selector.file is not None:
        raise InvalidField("target", f"'{text}' names a regular file, not a disk of the machine")
    return selector


def only_there(selector: Selector) -> bool:
    """Whether only the machine can tell what `selector` means, because it names a link."""
    return any(
        condition.key is Key.BY_PATH
        or (condition.key is Key.PATH and condition.value.startswith(_LINKS))
        for condition in selector.conditions
    )


def match(inventory: Mapping[str, Any] | None, text: str) -> DiskReport | None:
    """Return the disk of a machine's last inventory that `text` means; None where only the machine can tell.

    Raises `DiskNotFound` or `DiskAmbiguous`, which list the candidates, and `InvalidField` for a
    selector that is none.
    """
    selector = parse(text)
    disks = disks_of(inventory)
    if disks is None or only_there(selector):
        return None
    return choose(disks, selector)


def why_not(inventory: Mapping[str, Any] | None, target: str) -> str | None:
    """Return why `target` cannot be found, or None where it can or nobody knows yet."""
    try:
        match(inventory, target)
    except BtyError as error:
        return error.message
    return None
