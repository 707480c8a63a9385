"""Images in words."""

from __future__ import annotations

from bty_core.images.inspect import Image
from bty_core.images.table import ImageTable
from bty_core.values import size_text


def image_facts(image: Image) -> str:
    """Return format, sizes and partition table of an image."""
    return f"{stored_facts(image)}, {table_facts(image.table)}"


def stored_facts(image: Image) -> str:
    """Return format and sizes of an image."""
    stored = f"{size_text(image.size)}" if image.size is not None else "of unknown size"
    disk = (
        f"{size_text(image.virtual_size)} on the disk"
        if image.virtual_size is not None
        else "size on the disk unknown"
    )
    return f"{image.format}, {stored}, {disk}"


def table_facts(table: ImageTable | None) -> str:
    """Return what a partition table holds and what boots from it."""
    if table is None:
        return "no partition table"
    boots = [name for name, can in (("UEFI", table.boots_uefi), ("BIOS", table.boots_bios)) if can]
    count = len(table.partitions)
    return f"{table.kind} with {count} partition{'' if count == 1 else 's'}" + (
        f", boots on {' and '.join(boots)}" if boots else ""
    )
