"""Importing an image from a URL: streamed, resumed where the link breaks, checked, and placed whole."""

from __future__ import annotations

from sqlalchemy import Engine

from bty_core.images.http import HttpSource
from bty_core.images.source import Stream
from bty_core.wire.fields import InvalidField
from bty_web.database import working
from bty_web.jobs.task import Task
from bty_web.services import catalog, clock, uploads
from bty_web.services.addresses import without_secrets
from bty_web.services.history import Actor, record
from bty_web.settings import Settings


class Reader:
    """A stream of the core, read as a file is."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; none only at the end."""
        room = bytearray(size)
        with memoryview(room) as view:
            got = self._stream.readinto(view)
        return bytes(memoryview(room)[:got])


def check_url(url: str) -> str:
    """Return `url` if an image can be imported from it; raise `InvalidField`."""
    if not url.startswith(("http://", "https://")):
        raise InvalidField("url", "an image is imported from an http:// or https:// URL")
    HttpSource(url)
    return url


def run(settings: Settings, engine: Engine, task: Task) -> None:
    """Fetch what the job names into the catalog; its next scan finds it."""
    source = HttpSource(check_url(str(task.arguments["url"])))
    stream = source.open(lambda _: task.at(task.done))
    task.on_stop(stream.close)  # a server that says nothing would keep it for minutes
    try:
        task.total = stream.total_bytes
        uploads.receive(
            settings,
            task.subject,
            Reader(stream),
            length=stream.total_bytes,
            sha256=task.arguments.get("sha256"),
            replace=bool(task.arguments.get("replace")),
            replacing=catalog.replacing(lambda: working(engine), task.subject),
            progress=task.at,
        )
    finally:
        stream.close()
    with working(engine) as session:
        told = f"{task.subject} was imported from {without_secrets(str(source))}"
        by = Actor(str(task.arguments.get("by") or "bty"))
        record(session, "image.imported", told, by=by, now=clock.now(), subject=task.subject)
