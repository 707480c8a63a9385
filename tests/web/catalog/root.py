"""A folder of images, and the scan of it, at a time that the test says."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from bty_web.jobs.work import Work
from bty_web.models import Event, Image
from bty_web.services import scanning
from tests.web.site import NOW, Site

DISK = bytes(range(256)) * 4096  # 1 MiB that no format claims


def put(site: Site, name: str = "a.img", data: bytes = DISK) -> Path:
    """Place a file that nobody has written to for a while."""
    path = site.settings.image_root / name
    path.write_bytes(data)
    age(path)
    return path


def age(path: Path, seconds: float = 60.0) -> None:
    """Let a file be older than it is."""
    state = path.stat()
    moved = int(seconds * 10**9)
    os.utime(path, ns=(state.st_atime_ns - moved, state.st_mtime_ns - moved))


def scan(site: Site) -> list[int]:
    """Scan once; return the jobs that it wants done."""
    listing = scanning.look(site.settings.image_root)
    with site.session() as session:
        return scanning.reconcile(session, listing, NOW)


def work(site: Site, numbers: list[int]) -> None:
    """Do these jobs, here."""
    worker = Work(site.settings, site.engine, threading.Event())
    for number in numbers:
        worker.perform(number)


def rows(site: Site) -> dict[str, Image]:
    """Return the catalog."""
    with site.session() as session:
        found = {image.name: image for image in session.query(Image)}
        session.expunge_all()
        return found


def states(site: Site) -> dict[str, str]:
    """Return the state of each image."""
    return {name: str(image.state) for name, image in rows(site).items()}


def events(site: Site) -> list[str]:
    """Return what happened, the oldest first."""
    with site.session() as session:
        return [f"{one.kind} {one.subject}" for one in session.query(Event).order_by(Event.id)]
