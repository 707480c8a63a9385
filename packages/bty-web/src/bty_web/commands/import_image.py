"""``bty-web import IMAGE``."""

from __future__ import annotations

import argparse

from bty_core.events import Retrying
from bty_core.images.digest import known_digest
from bty_core.images.locate import locate
from bty_core.values import size_text
from bty_web.console import Console
from bty_web.exits import Exit
from bty_web.services import readiness
from bty_web.settings import load


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Copy a file, or fetch an address, into the catalog; a server that runs finds it by itself."""
    from bty_web.jobs.fetch import Reader
    from bty_web.services import catalog, uploads

    settings = load()
    with readiness.opened(settings):
        pass
    source = locate(arguments.image)
    name: str = arguments.name or source.name
    wanted = arguments.sha256
    if wanted is None and (known := known_digest(source)) is not None:
        wanted = known.digest
        console.say(f"bty-web: its digest must be {wanted.hex}, says {known.origin}")
    stream = source.open(lambda event: _say_retry(console, event))
    try:
        uploads.receive(
            settings,
            name,
            Reader(stream),
            length=stream.total_bytes,
            sha256=wanted.hex if wanted else None,
            replace=arguments.replace,
            replacing=catalog.replacing(lambda: readiness.opened(settings), name),
        )
    finally:
        stream.close()
    size = (settings.image_root / name).stat().st_size
    console.say(
        f"bty-web: {name} is in the catalog, {size_text(size)}; the server measures it next"
    )
    return Exit.DONE


def _say_retry(console: Console, event: Retrying) -> None:
    console.say(
        f"bty-web: {event.reason}; it goes on at byte {event.source_bytes}"
        f" in {event.wait_seconds:g} s"
    )
