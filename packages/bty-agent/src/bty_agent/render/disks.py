"""Disks as a list that a person can choose from."""

from __future__ import annotations

from collections.abc import Sequence

from bty_agent.render.tables import DETAIL, aligned
from bty_core.disks.model import Disk, Kind
from bty_core.disks.words import contents, reasons, state
from bty_core.program.console import plain
from bty_core.values import size_text

_HEADER = ("DISK", "SIZE", "VIA", "STATE", "SERIAL", "MODEL")


def disk_lines(disks: Sequence[Disk]) -> list[str]:
    """Return a row for each disk and below it what is on it now, and what keeps it busy.

    What people copy into a command stands in front; the model comes last, so that a long one moves nothing.
    """
    shown = aligned([_HEADER, *map(_row, disks)])
    lines = shown[:1]
    for disk, row in zip(disks, shown[1:], strict=True):
        lines += [row, *(f"{DETAIL}{detail}" for detail in (contents(disk), *reasons(disk)))]
    return lines


def _row(disk: Disk) -> tuple[str, ...]:
    return (
        plain(str(disk.path)),
        size_text(disk.size),
        str(disk.transport if disk.kind is Kind.DISK else disk.kind),
        state(disk),
        plain(disk.serial or "-"),
        plain(disk.model or "-"),
    )
