"""Making of a qcow2 what machines can be sent: a raw image in zstd, beside it in the catalog."""

from __future__ import annotations

import os
from threading import Thread

import zstandard
from sqlalchemy import Engine

from bty_core.flash.compare import decode
from bty_core.images.decode import MAX_WINDOW
from bty_core.images.file import FileSource
from bty_core.images.inspect import Image, inspect
from bty_web.database import working
from bty_web.jobs.task import Task
from bty_web.services import clock, uploads
from bty_web.services.history import BTY, record
from bty_web.settings import Settings

_LEVEL = 3


def name_for(name: str) -> str:
    """Return what the image made of the qcow2 `name` is called."""
    return f"{name.removesuffix('.qcow2')}.img.zst"


def run(settings: Settings, engine: Engine, task: Task) -> None:
    """Convert the image that the job names; its next scan finds what was made."""
    name = task.subject
    made = name_for(name)
    image = inspect(FileSource(settings.image_root / name))
    task.total = image.virtual_size
    stream = _Compressed(image, task)
    try:
        uploads.receive(settings, made, stream, length=None)
    finally:
        stream.close()
    with working(engine) as session:
        told = f"{made} was made of {name}"
        record(session, "image.converted", told, by=BTY, now=clock.now(), subject=made)


class _Compressed:
    """The decoded bytes of an image as zstd, made by a thread while they are read."""

    def __init__(self, image: Image, task: Task) -> None:
        self._image = image
        self._task = task
        self._error: BaseException | None = None
        self._reading, self._writing = os.pipe()
        self._thread = Thread(target=self._make, name="convert", daemon=True)
        self._thread.start()

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; none only at the end, and only if all of the image was there."""
        data = os.read(self._reading, size)
        if not data and self._error is not None:
            raise self._error
        return data

    def close(self) -> None:
        """End the making, wherever it is."""
        os.close(self._reading)
        self._thread.join()

    def _make(self) -> None:
        compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
        with os.fdopen(self._writing, "wb") as file:
            try:
                writer = compressor.stream_writer(
                    file, size=self._image.virtual_size or -1, closefd=False
                )
                decode(
                    self._image,
                    writer.write,
                    MAX_WINDOW,
                    lambda meter: self._task.at(meter.decoded_bytes),
                    self._task.stop,
                )
                writer.flush(zstandard.FLUSH_FRAME)
            except BaseException as error:  # noqa: BLE001 - it is raised where the bytes are read
                self._error = error
