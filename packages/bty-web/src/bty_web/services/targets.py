"""Disk selectors held against the last inventory of a machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bty_core.disks.select import Key, Selector, choose
from bty_core.errors import BtyError, InvalidValue
from bty_core.wire.fields import InvalidField
from bty_core.wire.reports import DiskReport, InventoryReport

# Names below /dev/disk are links that only the machine itself can follow.
_LINKS = "/dev/disk/"


def disks_of(inventory: Mapping[str, Any] | None) -> tuple[DiskReport, ...] | None:
    """Return the disks of a kept inventory, or None where there is none that can be read."""
    if inventory is None:
        return None
    try:
        return InventoryReport.from_wire(inventory).disks
    except InvalidField:
        return None


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
