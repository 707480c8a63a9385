"""The image root, held against the catalog: what has appeared, what has changed, what is gone."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from bty_core.errors import ImageUnavailable
from bty_core.images.catalog import CatalogEntry, read_catalog
from bty_core.wire.fields import InvalidField
from bty_web.errors import NotFound
from bty_web.models import Image, Job
from bty_web.models.words import ImageState, JobState
from bty_web.services import catalog, jobs
from bty_web.services.clock import change_stamp
from bty_web.services.history import BTY, record, record_seldom

SETTLED = 2.0  # seconds without a write, after which a copy may be taken for whole


@dataclass(frozen=True, slots=True)
class Found:
    """One file that may be an image."""

    entry: CatalogEntry
    stamp: str
    size: int
    settled: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """What is in the image root; `trouble` where it cannot be read, and then nothing is known of it."""

    files: Mapping[str, Found]
    trouble: str | None = None
    device: int = 0  # that the image root is on


def look(root: Path) -> Listing:
    """Read the names in the image root and how each file is; writes nothing, asks no database."""
    if not root.is_dir():
        return Listing({}, f"the image root {root} is not there")
    try:
        entries = read_catalog(root)
    except ImageUnavailable as error:
        return Listing({}, error.message)
    files = {}
    for entry in entries:
        found = _found(root, entry)
        if found is not None:
            files[entry.name] = found
    try:
        return Listing(files, device=root.stat().st_dev)
    except OSError as error:
        return Listing({}, f"the image root {root} cannot be read: {error.strerror}")


def _found(root: Path, entry: CatalogEntry) -> Found | None:
    try:
        catalog.safe_name(entry.name)
        with catalog.open_image(root, entry.name) as file:
            state = os.fstat(file.fileno())
            age = time.time() - state.st_mtime
            settled = (age >= SETTLED or age < -SETTLED) and not _being_written(file.fileno())
            return Found(entry, catalog.stamp(state), state.st_size, settled and state.st_size > 0)
    except (OSError, InvalidField, NotFound):
        return None


def _being_written(handle: int) -> bool:
    """Whether somebody has the file open for writing: the kernel gives no lease on such a file."""
    try:
        # Who opens the file for writing in between is told to wait, and we are told by a signal: the
        # usual one, SIGIO, would end this process.
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN  # anything else: not our file, or no leases there
    with suppress(OSError):
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def reconcile(session: Session, listing: Listing, now: datetime) -> list[int]:
    """Make the catalog's rows agree with `listing`; return the jobs that have to be queued.

    A root that cannot be read changes no row: a disk that is not mounted deletes no catalog.
    """
    known = {image.name: image for image in session.scalars(select(Image))}
    trouble = listing.trouble or _not_mounted(listing, known.values())
    if trouble is not None:
        record_seldom(session, "images.trouble", trouble, by=BTY, now=now, subject="images")
        return []
    queued: list[int] = []
    for name in known.keys() - listing.files.keys():
        session.delete(known[name])
        catalog.touch_machines(session, name)
        record(session, "image.gone", f"{name} is no longer there", by=BTY, now=now, subject=name)
    for name, found in listing.files.items():
        image = known.get(name)
        if image is not None and image.stamp == found.stamp:
            _beside(image, found)
            catalog.judge(image, found.entry.digest)
            if image.state is ImageState.MEASURING and found.settled:
                if _given_up(session, image, now):
                    continue
                queued += _measured_by(session, name, found, now)
            continue
        if image is not None:
            _is_another(session, image, found)
        elif found.settled:
            image = _new(found, now)
            session.add(image)
            record(session, "image.found", f"{name} was found", by=BTY, now=now, subject=name)
        if found.settled:
            session.flush()
            queued += _measured_by(session, name, found, now)
    session.flush()
    return queued


def _not_mounted(listing: Listing, known: Iterable[Image]) -> str | None:
    """Return the trouble where a disk is not mounted: the folder is there, empty, and on another disk."""
    devices = {image.stamp.partition(":")[0] for image in known}
    if listing.files or not devices or str(listing.device) in devices:
        return None
    return "the image root is empty, and on another disk than the images were: is theirs mounted?"


def _given_up(session: Session, image: Image, now: datetime) -> bool:
    """Let an image be broken whose measuring failed by itself, rather than measure it for ever."""
    query = select(Job).where(Job.kind == "measure", Job.subject == image.name)
    last = session.scalars(query.order_by(Job.id.desc()).limit(1)).first()
    if last is None or last.state is not JobState.FAILED:
        return False
    if last.arguments.get("stamp") != image.stamp:
        return False
    image.state, image.message, image.hint = ImageState.BROKEN, last.message, last.hint
    image.changed = change_stamp()
    catalog.touch_machines(session, image.name)
    told = f"{image.name} cannot be used: {last.message}"
    record(session, "image.broken", told, by=BTY, now=now, subject=image.name)
    return True


def adopt(session: Session, root: Path, name: str, now: datetime) -> list[int]:
    """Take a file that was just placed, whole, into the catalog at once; return the jobs to queue."""
    found = look(root).files.get(name)
    if found is None:
        return []
    listing = replace(found, settled=found.size > 0)
    image = session.scalar(select(Image).where(Image.name == name))
    if image is not None and image.stamp != listing.stamp:
        _is_another(session, image, listing)
    elif image is None:
        session.add(_new(listing, now))
    session.flush()
    return _measured_by(session, name, listing, now)


def _new(found: Found, now: datetime) -> Image:
    return Image(
        name=found.entry.name,
        state=ImageState.MEASURING,
        size_bytes=found.size,
        stamp=found.stamp,
        description=found.entry.description,
        warnings=list(found.entry.warnings),
        added_at=now,
        changed=change_stamp(),
    )


def _is_another(session: Session, image: Image, found: Found) -> None:
    """What was measured says nothing of the file that has the name now."""
    image.state = ImageState.MEASURING
    image.stamp, image.size_bytes = found.stamp, found.size
    image.format = image.virtual_size_bytes = image.sha256 = image.disk_sha256 = None
    image.table = image.message = image.hint = image.measured_at = None
    image.changed = change_stamp()
    _beside(image, found)
    catalog.touch_machines(session, image.name)


def _beside(image: Image, found: Found) -> None:
    told = (found.entry.description, list(found.entry.warnings))
    if (image.description, image.warnings) != told:
        image.description, image.warnings = told
        image.changed = change_stamp()


def _measured_by(session: Session, name: str, found: Found, now: datetime) -> list[int]:
    """Return the job that measures this very file, if it is new; one at a time for each name."""
    open_states = [JobState.QUEUED, JobState.RUNNING]
    query = select(Job).where(Job.kind == "measure", Job.subject == name)
    for job in session.scalars(query.where(Job.state.in_(open_states))):
        if job.arguments.get("stamp") == found.stamp:
            return []
        jobs.ask_to_cancel(job, now=now)
    arguments = {"stamp": found.stamp}
    return [jobs.add(session, "measure", name, arguments, by=BTY, now=now).id]
