"""The last moments of a flash: what is held back, what fails then, and what no thread may see too early."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bty_core.errors import BtyError, Cancelled, WriteFailed
from bty_core.events import Synced
from bty_core.flash import engine
from bty_core.flash.engine import flash
from bty_core.flash.target import Target
from bty_core.flash.writer import DiskWriter
from tests.conftest import MakeLoop
from tests.core.flash.planning import is_dead, plan, run, start_of
from tests.fakes.images import MIB, content

pytestmark = [pytest.mark.root, pytest.mark.loop]

DATA = content(16 * MIB, seed=31)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    found = tmp_path / "disk.img"
    found.write_bytes(DATA)
    return found


class SlowDigest:
    """A processor that is busy: the digest is behind the disk."""

    def __init__(self) -> None:
        self._digest = hashlib.new("sha256")

    def update(self, data: memoryview) -> None:
        time.sleep(0.15)
        self._digest.update(data)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def test_the_digest_is_of_the_image_even_when_it_is_slow(
    image: Path, make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer holds back the head in the memory that the digest reads."""
    disk = make_loop(16 * MIB)
    monkeypatch.setattr("bty_core.flash.transfer.hashlib.sha256", SlowDigest)
    done, _ = run(image, disk)
    monkeypatch.undo()
    assert done.sha256 == hashlib.sha256(DATA).hexdigest()
    assert start_of(disk, len(DATA)) == DATA


@pytest.mark.parametrize("fails", ["flush", "read", "write"])
@pytest.mark.parametrize("call", [0, 1])  # for the end of the disk, and for its head
def test_a_failure_while_the_head_is_written_takes_it_away(
    fails: str, call: int, image: Path, make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = make_loop(16 * MIB)
    commit = DiskWriter.commit
    calls = 0

    def failing(real: Any) -> Any:
        def maybe(self: Target, *rest: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == call + 1:
                raise self._failed(fails, 0, OSError(errno.EIO, os.strerror(errno.EIO)))
            return real(self, *rest)

        return maybe

    def sick_commit(self: DiskWriter) -> None:
        monkeypatch.setattr(Target, fails, failing(getattr(Target, fails)))
        commit(self)

    monkeypatch.setattr(DiskWriter, "commit", sick_commit)
    with pytest.raises(WriteFailed) as caught:
        run(image, disk)
    monkeypatch.undo()
    assert caught.value.aftermath == f"{disk} does not boot now; flash it again"
    assert is_dead(disk)


def test_a_disk_that_takes_nothing_any_more_is_not_called_dead(
    image: Path, make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = make_loop(16 * MIB)

    def sick(self: Target, *_: object) -> bool:
        raise self._failed("zeroing", 0, OSError(errno.EIO, os.strerror(errno.EIO)))

    monkeypatch.setattr(Target, "zero", sick)
    with pytest.raises(WriteFailed) as caught:
        run(image, disk)
    assert caught.value.aftermath == (
        f"what is on {disk} now is not known, do not boot it; flash it again"
    )


def test_an_interrupt_reaches_only_the_one_who_waits(
    image: Path, make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renderer that is interrupted stops the flash, which ends before `flash` returns."""
    disk = make_loop(16 * MIB)

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Cancelled) as caught:
        flash(plan(image, disk), interrupted)
    assert caught.value.message == "interrupted"
    assert not [one.name for one in threading.enumerate() if one.name == "bty-flash"]
    if caught.value.aftermath != f"nothing was written to {disk}":
        assert is_dead(disk)


def test_an_interrupt_after_the_last_write_changes_nothing(
    image: Path, make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = make_loop(16 * MIB)

    def interrupt(event: object) -> None:
        if isinstance(event, Synced):
            raise KeyboardInterrupt

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "_settle", interrupted)
    flash(plan(image, disk), interrupt)
    assert start_of(disk, len(DATA)) == DATA


def test_a_bug_says_what_it_has_left_behind(
    image: Path, make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = make_loop(16 * MIB)

    def wrong(*_: object) -> None:
        raise BrokenPipeError("somewhere")

    monkeypatch.setattr(engine, "read_back", wrong)
    with pytest.raises(BrokenPipeError) as caught:
        run(image, disk)
    assert caught.value.__notes__ == [f"{disk} does not boot now; flash it again"]
    assert is_dead(disk)


def test_nothing_is_left_behind_by_failures(
    image: Path, make_loop: MakeLoop, tmp_path: Path
) -> None:
    disk = make_loop(16 * MIB)
    broken = tmp_path / "broken.img.gz"
    broken.write_bytes(gzip.compress(DATA, compresslevel=1)[:-5000])
    before = set(os.listdir("/proc/self/fd"))
    threads = set(threading.enumerate())
    for _ in range(5):
        with pytest.raises(BtyError):
            run(broken, disk)
    deadline = time.monotonic() + 2
    while set(threading.enumerate()) - threads:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert set(os.listdir("/proc/self/fd")) == before
