"""``bty images``."""

from __future__ import annotations

import argparse
from pathlib import Path

from bty_agent.console import Console
from bty_agent.exits import Exit
from bty_agent.render.tables import DETAIL, ImageRow, image_lines
from bty_core.errors import BtyError
from bty_core.images.catalog import read_catalog
from bty_core.images.file import FileSource
from bty_core.images.inspect import inspect
from bty_core.program.envelope import envelope


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """List the images of a folder."""
    root: Path = arguments.root
    rows = []
    for entry in read_catalog(root):
        try:
            image = inspect(FileSource(entry.path))
            form, virtual_size, problem = str(image.format), image.virtual_size, None
        except BtyError as error:
            form, virtual_size, problem = None, None, error.message
        rows.append(ImageRow(entry=entry, format=form, virtual_size=virtual_size, problem=problem))
    if arguments.json:
        console.data(
            envelope("list-images", {"root": str(root), "images": [row.wire() for row in rows]})
        )
    elif rows:
        for line in image_lines(rows):
            console.page(line, indent=len(DETAIL))
    else:
        console.say(f"bty: there are no images in {root}")
        console.say(
            "     hint: copy disk images there, or name another folder with --root or BTY_IMAGE_ROOT"
        )
    return Exit.DONE
