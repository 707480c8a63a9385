"""Images in local files: every byte of them, and every way in which a file lets one down."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bty_core.errors import BtyError, Cancelled, ImageCorrupt, ImageRefused, ImageUnavailable
from bty_core.events import Retrying
from bty_core.images.file import FileSource
from bty_core.images.source import Source, Stream

DATA = random.Random(1).randbytes(300_007)
COPYING = "wait until nothing writes to it any more, then start again"


def never(event: Retrying) -> None:
    raise AssertionError(f"a local file was tried again: {event}")


def read(stream: Stream, size: int) -> bytes:
    view = memoryview(bytearray(size))
    found = b""
    while got := stream.readinto(view):
        found += view[:got]
    stream.close()
    return found


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "debian.img"
    path.write_bytes(DATA)
    return path


def test_a_file_is_a_source(image: Path) -> None:
    source: Source = FileSource(image)

    assert (source.name, source.remote, source.size) == ("debian.img", False, len(DATA))
    assert str(source) == str(image)


@pytest.mark.parametrize("size", [1_000, 65_536, len(DATA), len(DATA) + 1, 1 << 20])
def test_the_stream_gives_every_byte_once(image: Path, size: int) -> None:
    stream = FileSource(image).open(never)

    assert stream.total_bytes == len(DATA)
    assert read(stream, size) == DATA


def test_a_view_is_filled(image: Path) -> None:
    stream = FileSource(image).open(never)
    view = memoryview(bytearray(200_000))

    assert [stream.readinto(view) for _ in range(3)] == [200_000, 100_007, 0]
    stream.close()


def test_two_streams_do_not_disturb_each_other(image: Path) -> None:
    source = FileSource(image)
    one, two = source.open(never), source.open(never)
    one.readinto(memoryview(bytearray(1000)))

    assert read(two, 4096) == DATA
    assert read(one, 4096) == DATA[1000:]


def test_an_empty_file_ends_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty.img").touch()
    stream = FileSource(tmp_path / "empty.img").open(never)

    assert (stream.total_bytes, read(stream, 10)) == (0, b"")


@given(offset=st.integers(0, 400_000), length=st.integers(0, 400_000))
def test_read_at_gives_what_is_there(offset: int, length: int) -> None:
    source = FileSource(SHARED)

    assert source.read_at(offset, length) == SHARED_DATA[offset : offset + length]


SHARED = Path(__file__)
SHARED_DATA = SHARED.read_bytes()


def test_a_file_beside(image: Path) -> None:
    image.with_name("SHA256SUMS").write_bytes(b"sums")
    image.with_name("folder.sha256").mkdir()
    os.mkfifo(image.with_name("pipe.sha256"))
    source = FileSource(image)

    assert source.beside("SHA256SUMS") == b"sums"
    assert source.beside("debian.img.sha256") is None
    assert source.beside("folder.sha256") is None
    assert source.beside("pipe.sha256") is None


def test_a_file_beside_that_cannot_be_read(image: Path) -> None:
    loop = image.with_name("SHA256SUMS")
    loop.symlink_to(loop)

    with pytest.raises(ImageUnavailable) as caught:
        FileSource(image).beside("SHA256SUMS")
    assert str(caught.value) == f"{loop} cannot be opened: Too many levels of symbolic links"


def test_a_file_beside_that_is_too_large(image: Path) -> None:
    sums = image.with_name("SHA256SUMS")
    sums.write_bytes(bytes((1 << 20) + 1))

    with pytest.raises(ImageRefused) as caught:
        FileSource(image).beside("SHA256SUMS")
    assert str(caught.value) == (
        f"{sums} is larger than 1 MiB, too large for a text file beside an image"
    )


def test_a_missing_file(tmp_path: Path) -> None:
    check_refusal(
        tmp_path / "no.img", ImageUnavailable, "there is no file {path}", hint="check the path"
    )


def test_a_file_in_a_file(image: Path) -> None:
    check_refusal(
        image / "x.img", ImageUnavailable, "there is no file {path}", hint="check the path"
    )


def test_a_folder(tmp_path: Path) -> None:
    check_refusal(tmp_path, ImageRefused, "{path} is a folder, not an image file")


def test_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    check_refusal(tmp_path / "pipe", ImageRefused, "{path} is a pipe, not an image file")


def test_a_device() -> None:
    check_refusal(
        Path("/dev/null"), ImageRefused, "{path} is a character device, not an image file"
    )


def check_refusal(
    path: Path,
    kind: type[BtyError],
    message: str,
    hint: str = "give the path of a regular file; a disk can be copied into one first",
) -> None:
    with pytest.raises(kind) as caught:
        FileSource(path)
    assert (str(caught.value), caught.value.hint) == (message.format(path=path), hint)


def test_a_name_that_no_file_can_have() -> None:
    name = "n" * 300
    with pytest.raises(ImageUnavailable) as caught:
        FileSource(Path(name))
    assert str(caught.value) == f"{name} cannot be opened: File name too long"


def test_a_file_without_permission(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = FileSource(image)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    # Root may read everything, so the refusal of the kernel is played.
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(ImageUnavailable) as caught:
            source.open(never)
    assert str(caught.value) == f"{image} may not be read by this user"
    assert caught.value.hint == "run as root, or change its permissions"


def test_a_file_that_shrinks_while_it_is_read(image: Path) -> None:
    stream = FileSource(image).open(never)
    view = memoryview(bytearray(100_000))
    stream.readinto(view)
    os.truncate(image, 100_500)
    with pytest.raises(ImageCorrupt) as caught:
        stream.readinto(view)
    stream.close()
    assert str(caught.value) == (
        f"{image} ended after 100500 of 300007 bytes: it was cut short while it was read"
    )
    assert caught.value.hint == COPYING


def test_a_file_that_grows_while_it_is_read(image: Path) -> None:
    stream = FileSource(image).open(never)
    with image.open("ab") as file:
        file.write(b"more")
    with pytest.raises(ImageCorrupt) as caught:
        read(stream, 1 << 20)
    stream.close()
    assert str(caught.value) == f"{image} went from 300007 to 300011 bytes while it was read"
    assert caught.value.hint == COPYING


def test_a_file_that_is_written_to_while_it_is_read(image: Path) -> None:
    stream = FileSource(image).open(never)
    with image.open("r+b") as file:
        file.write(b"other")
    with pytest.raises(ImageCorrupt) as caught:
        read(stream, 1 << 20)
    stream.close()
    assert str(caught.value) == f"{image} was written to while it was read"


def test_a_file_that_changed_after_the_look(image: Path) -> None:
    source = FileSource(image)
    image.write_bytes(b"short")

    for use in (lambda: source.open(never), lambda: source.read_at(0, 10)):
        with pytest.raises(ImageUnavailable) as caught:
            use()
        assert str(caught.value) == f"{image} changed since it was looked at"
        assert caught.value.hint == COPYING


def test_a_disk_that_fails(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = FileSource(image).open(never)

    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(ImageUnavailable) as caught:
        FileSource(image).read_at(512, 10)
    assert str(caught.value) == f"{image} cannot be read at byte 512: Input/output error"
    monkeypatch.setattr(os, "preadv", fail)
    with pytest.raises(ImageUnavailable) as caught:
        read(stream, 10)
    stream.close()
    assert str(caught.value) == f"{image} cannot be read at byte 0: Input/output error"
    assert caught.value.hint == "check the disk or stick that holds the file"


def test_closing_from_another_thread_ends_the_read(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = FileSource(image).open(never)
    inside, go_on = threading.Event(), threading.Event()
    real = os.preadv

    def slow(fd: int, views: list[memoryview], offset: int) -> int:
        inside.set()
        assert go_on.wait(5)
        return real(fd, [view[:10] for view in views], offset)

    monkeypatch.setattr(os, "preadv", slow)
    caught: list[BaseException] = []

    def work() -> None:
        try:
            stream.readinto(memoryview(bytearray(1000)))
        except Cancelled as error:
            caught.append(error)

    before = open_files()
    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(5)
    stream.close()
    assert open_files() == before  # the reader still uses it
    go_on.set()
    thread.join(5)
    assert [str(error) for error in caught] == [f"reading {image} was stopped"]
    assert open_files() == before - 1
    stream.close()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
