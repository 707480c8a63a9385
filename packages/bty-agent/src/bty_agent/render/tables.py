"""Lists of facts for people, in 80 columns and without lines that a Linux console cannot draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len

from bty_agent.console import Console
from bty_core.flash.compare import Measured
from bty_core.images.catalog import CatalogEntry
from bty_core.images.digest import KnownDigest
from bty_core.images.inspect import Image
from bty_core.images.words import stored_facts, table_facts
from bty_core.machine.model import Inventory
from bty_core.program.console import plain
from bty_core.values import size_text

DETAIL = "    "  # in front of what belongs to the row above
_IMAGES = ("FORMAT", "SIZE", "ON DISK", "DIGEST", "IMAGE")


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows with their cells below each other, two blanks between them."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(_padded, row, widths)).rstrip() for row in rows]


def facts(console: Console, rows: Sequence[tuple[str, str]]) -> None:
    """Print a name and a fact a row; a long fact goes on below itself."""
    width = max((len(name) for name, _ in rows), default=0) + 2
    for name, fact in rows:
        console.page(f"{name:<{width}}{fact}", indent=width)


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


def image_lines(rows: Sequence[ImageRow]) -> list[str]:
    """Return a row for each image, and below it what it is and what is wrong with it."""
    shown = aligned([_IMAGES, *map(_image, rows)])
    lines = shown[:1]
    for row, line in zip(rows, shown[1:], strict=True):
        told = [row.entry.description, row.problem, *row.entry.warnings]
        lines += [line, *(f"{DETAIL}{plain(text)}" for text in told if text)]
    return lines


def _image(row: ImageRow) -> tuple[str, ...]:
    return (
        row.format or "-",
        size_text(row.entry.size),
        size_text(row.virtual_size) if row.virtual_size is not None else "-",
        "known" if row.entry.digest else "-",
        plain(row.entry.name),
    )


def image_facts(
    image: Image, known: KnownDigest | None, measured: Measured | None
) -> list[tuple[str, str]]:
    """Return what an image is, and its partitions."""
    rows = [("image", plain(str(image.source))), ("is", stored_facts(image))]
    if measured is not None:
        rows.append(("on the disk", f"{measured.virtual_size} bytes"))
        rows.append(("sha256", measured.sha256))
        if image.format.compressed:
            rows.append(("decoded", measured.disk_sha256))
    if known is not None:
        equal = measured is not None and measured.sha256 == known.digest.hex
        judged = "" if measured is None else " (equal)" if equal else " (DIFFERENT)"
        rows.append(("expected", f"{known.digest.hex} from {plain(known.origin)}{judged}"))
    rows.append(("table", table_facts(image.table)))
    for part in image.table.partitions if image.table else ():
        name = f' "{plain(part.name)}"' if part.name else ""
        told = f"{size_text(part.size)} at {size_text(part.start)}, {part.type}{name}"
        rows.append((f"  {part.number}", told))
    return rows


def inventory_facts(inventory: Inventory) -> list[tuple[str, str]]:
    """Return what a machine is and has."""
    return [(name, plain(value)) for name, value in _flat(inventory.wire())]


def _flat(wire: dict[str, Any]) -> Iterable[tuple[str, str]]:
    for key, value in wire.items():
        name = key.removesuffix("_bytes").replace("_", " ")
        if isinstance(value, list):
            for item in value:
                said = [_named(each, one) for each, one in item.items() if one]
                yield name.removesuffix("s"), ", ".join(said)
        else:
            yield name, _said(key, value)


def _named(key: str, value: object) -> str:
    return f"{key} {value}" if key in ("serial", "wwn") else _said(key, value)


def _said(key: str, value: object) -> str:
    if key.endswith("_bytes") and isinstance(value, int):
        return size_text(value)
    if value is True:
        return key
    return "unknown" if value is None else str(value)


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - cell_len(cell))
