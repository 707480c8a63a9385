"""``bty inspect``."""

from __future__ import annotations

import argparse
from typing import Any

from bty_agent.console import Console
from bty_agent.exits import Exit
from bty_agent.render.bars import reading
from bty_agent.render.envelope import table_wire
from bty_agent.render.tables import facts, image_facts
from bty_core.errors import DigestMismatch
from bty_core.flash.compare import Measured, measure
from bty_core.images.digest import KnownDigest, known_digest
from bty_core.images.inspect import Image, inspect
from bty_core.images.locate import locate
from bty_core.program.envelope import envelope


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Show what an image is, and with its digests whether it is whole."""
    image = inspect(locate(arguments.image), arguments.max_window)
    known = known_digest(image.source)
    measured: Measured | None = None
    if not arguments.quick:
        with reading(console, "reading", image.size) as tick:
            measured = measure(image, arguments.max_window, tick)
    if arguments.json:
        console.data(envelope("inspect-image", _wire(image, known, measured)))
    else:
        facts(console, image_facts(image, known, measured))
    if measured is not None and known is not None and measured.sha256 != known.digest.hex:
        raise DigestMismatch(
            f"{image.name} has the digest sha256:{measured.sha256}, and {known.origin} says {known.digest}",
            hint="fetch the image again, or correct the digest",
        )
    return Exit.DONE


def _wire(image: Image, known: KnownDigest | None, measured: Measured | None) -> dict[str, Any]:
    return {
        "image": str(image.source),
        "name": image.name,
        "format": image.format,
        "size_bytes": image.size,
        "virtual_size_bytes": measured.virtual_size if measured else image.virtual_size,
        "sha256": measured.sha256 if measured else None,
        "disk_sha256": measured.disk_sha256 if measured else None,
        "known_digest": {"sha256": known.digest.hex, "origin": known.origin} if known else None,
        "partition_table": table_wire(image.table),
    }
