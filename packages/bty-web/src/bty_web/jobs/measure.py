"""Measuring an image: format by content, size on the disk, digests; and whether it is whole."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from bty_core.errors import BtyError, Cancelled
from bty_core.flash.compare import measure
from bty_core.images.decode import MAX_WINDOW
from bty_core.images.digest import KnownDigest, known_digest
from bty_core.images.file import FileSource
from bty_core.images.formats import Format
from bty_core.images.inspect import inspect
from bty_web.database import working
from bty_web.jobs import convert, queue
from bty_web.jobs.task import Task
from bty_web.models import Image
from bty_web.models.words import ImageState
from bty_web.services import catalog, clock, jobs
from bty_web.services.history import BTY, record
from bty_web.settings import Settings


def run(settings: Settings, engine: Engine, task: Task) -> None:
    """Measure the file that the job names, if it is still the one that was found."""
    root, name = settings.image_root, task.subject
    wanted = str(task.arguments.get("stamp", ""))
    if _stamp(root, name) != wanted:
        return  # the next scan finds what is there now
    try:
        values = _measured(root / name, task)
    except Cancelled:
        raise
    except BtyError as error:
        values = {"state": ImageState.BROKEN, "message": error.message[:2000], "hint": error.hint}
    if _stamp(root, name) != wanted:
        return
    wanted_digest = _digest(root / name)
    now = clock.now()
    converts: list[int] = []
    with working(engine) as session:
        image = session.scalar(select(Image).where(Image.name == name).with_for_update())
        if image is None or image.stamp != wanted:
            return
        for column, value in values.items():
            setattr(image, column, value)
        catalog.judge(image, wanted_digest)
        image.measured_at = now
        image.changed = clock.change_stamp()
        catalog.touch_machines(session, name)
        ready = image.state is ImageState.READY
        told = f"{name} is ready" if ready else f"{name} cannot be used: {image.message}"
        record(
            session,
            "image.ready" if ready else "image.broken",
            told,
            by=BTY,
            now=now,
            subject=name,
        )
        if image.format == Format.QCOW2.value:
            converts = _convert(session, settings, name, now)
    queue.enqueue(settings, converts)


def _convert(session: Session, settings: Settings, name: str, now: datetime) -> list[int]:
    """Return the job that makes of a qcow2 what machines can be sent, unless that is there."""
    if os.path.lexists(settings.image_root / convert.name_for(name)):
        return []
    return [jobs.add(session, "convert", name, {}, by=BTY, now=now).id]


def _stamp(root: Path, name: str) -> str | None:
    try:
        with catalog.open_image(root, name) as file:
            return catalog.stamp(os.fstat(file.fileno()))
    except BtyError:
        return None


def _digest(path: Path) -> KnownDigest | None:
    try:
        return known_digest(FileSource(path))
    except BtyError:  # the scan says what is wrong with the note, as a warning
        return None


def _measured(path: Path, task: Task) -> dict[str, object]:
    source = FileSource(path)
    image = inspect(source)
    task.total = image.size
    found = measure(image, MAX_WINDOW, lambda meter: task.at(meter.source_bytes), task.stop)
    values: dict[str, object] = {
        "state": ImageState.READY,
        "format": image.format.value,
        "virtual_size_bytes": found.virtual_size,
        "sha256": found.sha256,
        "disk_sha256": found.disk_sha256,
        "message": None,
        "hint": None,
    }
    if image.format is Format.QCOW2:
        values["state"] = ImageState.BROKEN
        made = convert.name_for(path.name)
        values["message"] = f"qcow2 cannot be streamed to machines: {made} is made of it"
        values["hint"] = f"assign {made}; this file can be deleted when that one is ready"
    if image.table is not None:
        values["table"] = {"kind": image.table.kind.value}
    return values
