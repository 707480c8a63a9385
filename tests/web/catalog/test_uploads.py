"""Uploads: there at once or not at all, and nothing else is left."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bty_core.errors import BtyError, DigestMismatch, ImageCorrupt, InvalidValue
from bty_web.errors import Conflict, NoRoom
from bty_web.services import uploads
from bty_web.settings import Settings
from tests.web.catalog.root import age

DATA = os.urandom(3 * 2**20 + 7)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def settings(sqlite_settings: Settings) -> Settings:
    return replace(sqlite_settings, upload_reserve_mib=0)


def names(settings: Settings) -> list[str]:
    return sorted(os.listdir(settings.image_root))


@pytest.mark.parametrize("name", ["a.img", "€" * 85, "x" * 255], ids=["short", "wide", "long"])
@pytest.mark.parametrize("length", [len(DATA), None])
def test_an_upload(settings: Settings, name: str, length: int | None) -> None:
    told: list[int] = []
    path = uploads.receive(
        settings, name, io.BytesIO(DATA), length=length, sha256=SHA256, progress=told.append
    )
    assert path == settings.image_root / name
    assert path.read_bytes() == DATA
    assert names(settings) == [name]
    assert told == [2**20, 2 * 2**20, 3 * 2**20, len(DATA)]


class Breaking:
    """A client that sends some and goes away."""

    def __init__(self, error: BaseException) -> None:
        self.parts = iter([DATA[:1000]])
        self.error = error

    def read(self, size: int, /) -> bytes:
        for part in self.parts:
            return part
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("gone"), ImageCorrupt("gone")])
def test_nothing_is_left_of_what_broke_off(settings: Settings, error: BaseException) -> None:
    with pytest.raises(type(error)):
        uploads.receive(settings, "a.img", Breaking(error), length=len(DATA))
    assert names(settings) == []


@pytest.mark.parametrize(
    ("length", "sha256", "kind", "said"),
    [
        (len(DATA) + 1, None, ImageCorrupt, f"a.img was cut short: {len(DATA)} bytes of {len(DATA) + 1} came"),
        (len(DATA) - 1, None, ImageCorrupt, f"a.img is longer than the {len(DATA) - 1} bytes that were promised"),
        (None, "0" * 64, DigestMismatch, f"a.img has another digest than it should: {SHA256} instead of {'0' * 64}"),
        (None, "rubbish", InvalidValue, "'rubbish' is not a SHA-256 digest"),
        (2**62, None, NoRoom, None),
    ],
    ids=["short", "long", "digest", "no digest", "room"],
)  # fmt: skip
def test_what_is_refused(
    settings: Settings,
    length: int | None,
    sha256: str | None,
    kind: type[BtyError],
    said: str | None,
) -> None:
    with pytest.raises(kind) as caught:
        uploads.receive(settings, "a.img", io.BytesIO(DATA), length=length, sha256=sha256)
    assert said is None or caught.value.message == said
    assert names(settings) == []


def test_an_empty_one_is_refused(settings: Settings) -> None:
    with pytest.raises(ImageCorrupt, match=r"a\.img is empty"):
        uploads.receive(settings, "a.img", io.BytesIO(), length=None)
    assert names(settings) == []


def test_room_that_is_kept_free_is_not_taken(settings: Settings) -> None:
    kept = replace(settings, upload_reserve_mib=10**6)
    with pytest.raises(NoRoom, match=r"there is no room for a\.img"):
        uploads.receive(kept, "a.img", io.BytesIO(DATA), length=1)
    assert names(settings) == []


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the kernel refuse what goes beyond `size`, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_that_becomes_full(settings: Settings) -> None:
    with largest_file(2**20 + 100), pytest.raises(NoRoom) as caught:
        uploads.receive(settings, "a.img", io.BytesIO(DATA), length=len(DATA))
    assert caught.value.message == "the disk became full while a.img came"
    assert names(settings) == []


def test_a_name_that_is_taken(settings: Settings) -> None:
    path = settings.image_root / "a.img"
    path.write_bytes(b"old")
    with pytest.raises(Conflict) as caught:
        uploads.receive(settings, "a.img", io.BytesIO(DATA), length=None)
    assert caught.value.message == "there is an image 'a.img' already"
    with path.open("rb") as reader:
        uploads.receive(settings, "a.img", io.BytesIO(DATA), length=None, replace=True)
        assert reader.read() == b"old"  # who reads it goes on with it
    assert path.read_bytes() == DATA
    assert names(settings) == ["a.img"]


class Late:
    """Bytes, and something that happens before the last of them."""

    def __init__(self, happen: Callable[[], object]) -> None:
        self.happen = happen
        self.parts = iter([b"new", b""])

    def read(self, size: int, /) -> bytes:
        part = next(self.parts)
        if not part:
            self.happen()
        return part


def test_of_two_at_once_one_wins(settings: Settings) -> None:
    path = settings.image_root / "a.img"
    with pytest.raises(Conflict):
        uploads.receive(settings, "a.img", Late(lambda: path.write_bytes(b"first")), length=None)
    assert path.read_bytes() == b"first"
    assert names(settings) == ["a.img"]


def test_a_file_system_without_links(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    uploads.receive(settings, "a.img", io.BytesIO(DATA), length=None)
    assert names(settings) == ["a.img"]
    path = settings.image_root / "b.img"
    with pytest.raises(Conflict):
        uploads.receive(settings, "b.img", Late(lambda: path.write_bytes(b"first")), length=None)
    assert path.read_bytes() == b"first"


def test_what_a_killed_process_left_is_swept_and_nothing_else(settings: Settings) -> None:
    code = """
    import sys, time
    from pathlib import Path
    from bty_web.services import uploads
    from bty_web.settings import Settings
    class Slow:
        def read(self, size):
            print("reading", flush=True)
            time.sleep(60)
    uploads.receive(Settings(state_dir=Path(sys.argv[1]), upload_reserve_mib=0), "a.img", Slow(), length=None)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), settings.state_dir],
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        (partial,) = settings.image_root.iterdir()
        age(partial, 3600)
        assert uploads.sweep(settings.image_root) == []  # it is alive
    finally:
        process.kill()
        process.communicate()
    others = [".hidden", ".a.img.part-x", "a.img.part"]
    for name in others:
        path = settings.image_root / name
        path.touch()
        age(path, 10**6)
    assert uploads.sweep(settings.image_root) == ["a.img"]
    assert names(settings) == sorted(others)
    assert uploads.sweep(Path("/nowhere")) == []


def test_a_partial_file_of_this_moment_is_left(settings: Settings) -> None:
    path = settings.image_root / ".a.img.part-1-00000000"
    path.touch()
    os.utime(path, (time.time(), time.time()))
    assert uploads.sweep(settings.image_root) == []
