"""Tables for people, in 80 columns and without lines that a Linux console cannot draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from bty_agent.render.plan import image_facts, table_facts
from bty_agent.render.words import contents, plain, state
from bty_core.disks.model import Disk
from bty_core.flash.compare import Measured
from bty_core.images.catalog import CatalogEntry
from bty_core.images.digest import KnownDigest
from bty_core.images.inspect import Image
from bty_core.machine.model import Inventory
from bty_core.values import size_text


def disks_table(disks: Sequence[Disk]) -> Table:
    """Return one row a disk."""
    table = _table("DISK", "SIZE", "MODEL", "SERIAL", "VIA", "ON IT NOW", "STATE")
    for disk in disks:
        table.add_row(
            str(disk.path),
            size_text(disk.size),
            plain(disk.model or "-"),
            plain(disk.serial or "-"),
            str(disk.transport),
            contents(disk),
            state(disk),
        )
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """An image of a folder, as far as its start tells."""

    entry: CatalogEntry
    format: str | None
    virtual_size: int | None
    problem: str | None

    def wire(self) -> dict[str, Any]:
        """Return it as JSON values."""
        digest = self.entry.digest
        return {
            "name": self.entry.name,
            "path": str(self.entry.path),
            "format": self.format,
            "size_bytes": self.entry.size,
            "virtual_size_bytes": self.virtual_size,
            "sha256": digest.digest.hex if digest else None,
            "description": self.entry.description,
            "problem": self.problem,
            "warnings": list(self.entry.warnings),
        }


def images_table(rows: Sequence[ImageRow]) -> Table:
    """Return one row an image."""
    table = _table("IMAGE", "FORMAT", "SIZE", "ON DISK", "DIGEST", "DESCRIPTION")
    for row in rows:
        table.add_row(
            plain(row.entry.name),
            row.format or "-",
            size_text(row.entry.size),
            size_text(row.virtual_size) if row.virtual_size is not None else "unknown",
            "known" if row.entry.digest else "-",
            plain(row.problem or row.entry.description or "; ".join(row.entry.warnings)),
        )
    return table


def image_table(image: Image, known: KnownDigest | None, measured: Measured | None) -> Table:
    """Return what an image is, a fact a row, and its partitions."""
    table = _facts()
    table.add_row("image", plain(str(image.source)))
    table.add_row("is", image_facts(image))
    if measured is not None:
        table.add_row("on the disk", f"{measured.virtual_size} bytes")
        table.add_row("sha256", measured.sha256)
        if image.format.compressed:
            table.add_row("decoded", measured.disk_sha256)
    if known is not None:
        right = (
            ""
            if measured is None
            else (" (equal)" if measured.sha256 == known.digest.hex else " (DIFFERENT)")
        )
        table.add_row("expected", f"{known.digest.hex} from {known.origin}{right}")
    table.add_row("table", table_facts(image.table))
    for part in image.table.partitions if image.table else ():
        name = f' "{plain(part.name)}"' if part.name else ""
        table.add_row(
            f"  {part.number}",
            f"{size_text(part.size)} at {size_text(part.start)}, {part.type}{name}",
        )
    return table


def inventory_table(inventory: Inventory) -> Table:
    """Return what a machine is and has, a fact a row."""
    table = _facts()
    for name, value in _flat(inventory.wire()):
        table.add_row(name, plain(value))
    return table


def _flat(wire: dict[str, Any]) -> Iterable[tuple[str, str]]:
    for key, value in wire.items():
        name = key.removesuffix("_bytes").replace("_", " ")
        if isinstance(value, list):
            for item in value:
                yield (
                    name.removesuffix("s"),
                    ", ".join(_said(each, one) for each, one in item.items() if one),
                )
        elif isinstance(value, dict):
            yield name, ", ".join(_said(each, one) for each, one in value.items() if one)
        else:
            yield name, _said(key, value)


def _said(key: str, value: object) -> str:
    if key.endswith("_bytes") and isinstance(value, int):
        return size_text(value)
    if value is True:
        return key
    return "unknown" if value is None else str(value)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _facts() -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table
