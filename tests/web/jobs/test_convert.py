"""A qcow2 in the catalog becomes something that machines can be sent."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest
import zstandard
from sqlalchemy import select

from bty_core.proc import run
from bty_web.jobs.clock import Clock
from bty_web.jobs.work import Work
from bty_web.models import Image, Job
from bty_web.models.words import ImageState, JobState
from bty_web.services import catalog, jobs
from bty_web.settings import Settings
from tests.web.site import Site

pytestmark = [pytest.mark.qemu]
CONTENT = os.urandom(1 << 20) + bytes(6 << 20) + os.urandom(1 << 20)


def make(settings: Settings, name: str) -> Path:
    """Put a qcow2 into the image root, old enough to be taken for whole."""
    raw = settings.state_dir / "raw"
    raw.write_bytes(CONTENT)
    path = settings.image_root / name
    run(["qemu-img", "convert", "-O", "qcow2", raw, path], timeout=60)
    os.utime(path, (1, 1))
    return path


def work_off(site: Site) -> None:
    """Scan, and do all jobs that there are, until there is nothing left to do."""
    stop = threading.Event()
    work = Work(site.settings, site.engine, stop)
    for _ in range(4):
        Clock(site.settings, site.engine, work.owner).scan()
        for path in site.settings.image_root.iterdir():
            os.utime(path, (1, 1))
        with site.session() as session:
            query = select(Job.id).where(Job.state == JobState.QUEUED)
            numbers = list(session.scalars(query))
        for number in numbers:
            work.perform(number)


def test_a_qcow2_is_converted_and_its_copy_can_be_flashed(site: Site) -> None:
    make(site.settings, "debian.qcow2")
    work_off(site)
    with site.session() as session:
        original, made = (
            catalog.get(session, "debian.qcow2"),
            catalog.get(session, "debian.img.zst"),
        )
        assert (original.state, original.format) == (ImageState.BROKEN, "qcow2")
        assert original.message == (
            "qcow2 cannot be streamed to machines: debian.img.zst is made of it"
        )
        assert (made.state, made.format) == (ImageState.READY, "zstd")
        assert made.virtual_size_bytes == len(CONTENT)
        assert made.disk_sha256 == hashlib.sha256(CONTENT).hexdigest()
        assert [job.state for job in jobs.newest(session, kind="convert")] == [JobState.DONE]
        assert [one.name for one in catalog.offered(session)] == ["debian.img.zst"]
    stored = (site.settings.image_root / "debian.img.zst").read_bytes()
    assert zstandard.ZstdDecompressor().decompress(stored) == CONTENT


def test_it_is_not_made_twice(site: Site) -> None:
    make(site.settings, "debian.qcow2")
    (site.settings.image_root / "debian.img.zst").write_bytes(
        zstandard.ZstdCompressor().compress(b"mine" * 1000)
    )
    work_off(site)
    with site.session() as session:
        assert jobs.newest(session, kind="convert") == []
        assert catalog.get(session, "debian.img.zst").virtual_size_bytes == 4000


def test_what_breaks_off_leaves_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(5, "the disk is dying")

    monkeypatch.setattr("bty_web.jobs.convert.decode", broken)
    make(site.settings, "debian.qcow2")
    work_off(site)
    with site.session() as session:
        (job,) = jobs.newest(session, kind="convert")
        assert job.state is JobState.FAILED
        assert "the disk is dying" in (job.message or "")
        assert session.scalar(select(Image).where(Image.name == "debian.img.zst")) is None
    assert sorted(one.name for one in site.settings.image_root.iterdir()) == ["debian.qcow2"]
