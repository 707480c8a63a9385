"""``bty verify``."""

from __future__ import annotations

import argparse

from bty_agent.console import Console
from bty_agent.exits import Exit
from bty_agent.render.bars import reading
from bty_core.disks.find import find_disk
from bty_core.errors import BtyError
from bty_core.flash.compare import compare
from bty_core.images.inspect import inspect
from bty_core.images.locate import locate
from bty_core.program.envelope import envelope
from bty_core.values import size_text


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Compare an image with a disk."""
    disk = find_disk(arguments.target)
    image = inspect(locate(arguments.image), arguments.max_window)
    about = {"image": str(image.source), "disk": str(disk.path)}
    try:
        with reading(console, "comparing", image.size, arguments.progress) as tick:
            moved = compare(image, disk, arguments.max_window, tick)
    except BtyError as error:
        if arguments.json:
            console.data(
                envelope(
                    "verify",
                    {**about, "equal": False, "code": error.code, "message": error.message},
                )
            )
        raise
    if arguments.json:
        facts = {"equal": True, "bytes_compared": moved.decoded_bytes, "sha256": moved.sha256}
        console.data(envelope("verify", {**about, **facts}))
    else:
        console.data(
            f"{disk.path} holds {image.name}: {size_text(moved.decoded_bytes)} compared, sha256:{moved.sha256}"
        )
    return Exit.DONE
