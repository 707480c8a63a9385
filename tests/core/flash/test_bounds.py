"""Bounded memory and time, whatever the image."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from bty_core.errors import BtyError, ImageRefused
from bty_core.images.inspect import inspect
from bty_core.images.locate import locate
from bty_core.images.table import read_table
from bty_core.images.xz_index import decoded_size
from tests.conftest import MakeLoop
from tests.core.flash.planning import run, start_of
from tests.fakes.images import MIB, qcow2, zstd

LIMIT = 160 * MIB  # of memory, with the default settings
WINDOW = 128 * MIB
BIG = 320 * MIB


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Two large images: one is mostly noise, the other mostly zeros."""
    folder = tmp_path_factory.mktemp("bounds")
    noise = random.Random(1).randbytes(16 * MIB)
    found = {"noise": folder / "noise", "zeros": folder / "zeros"}
    for name, times in (("noise", 12), ("zeros", 1)):
        with found[name].open("wb") as file:
            file.seek(BIG - times * len(noise))
            for _ in range(times):
                file.write(noise)
            file.seek(0)
            file.write(noise)
    yield found
    for path in found.values():
        path.unlink()


def stored_by(*argv: str) -> Callable[[Path, Path], None]:
    def make(raw: Path, to: Path) -> None:
        with raw.open("rb") as source, to.open("wb") as target:
            subprocess.run(argv, stdin=source, stdout=target, check=True)

    return make


def as_it_is(raw: Path, to: Path) -> None:
    os.link(raw, to)


def as_qcow2(raw: Path, to: Path) -> None:
    qcow2(raw, to)


KINDS: dict[str, tuple[str, Callable[[Path, Path], None], int]] = {
    "raw": ("noise", as_it_is, LIMIT),
    "gzip": ("zeros", stored_by("gzip", "-1"), LIMIT),
    "zstd": ("noise", stored_by("zstd", "-q", "-1", "-c"), LIMIT),
    "zstd --long=27": ("noise", stored_by("zstd", "-q", "-1", "--long=27", "-c"), LIMIT + WINDOW),
    "xz": ("zeros", stored_by("xz", "-0", "-c"), LIMIT),
    "qcow2": ("noise", as_qcow2, LIMIT),
}

# The counter of wait4() knows the parent's memory too; this one begins with the program.
PROGRAM = """
import re, sys
from pathlib import Path
from bty_agent.console import Console
from bty_agent.main import main
code = main(sys.argv[1:], Console())
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
raise SystemExit(code)
"""


@pytest.mark.root
@pytest.mark.loop
@pytest.mark.qemu
@pytest.mark.parametrize("kind", KINDS)
def test_memory_is_bounded(
    kind: str, images: dict[str, Path], make_loop: MakeLoop, tmp_path: Path
) -> None:
    content, make, limit = KINDS[kind]
    image = tmp_path / "disk.img"
    make(images[content], image)
    disk = make_loop(BIG, blank=True)
    argv = [sys.executable, "-c", PROGRAM, "flash", "--yes", "--progress", "none"]
    done = subprocess.run(
        [*argv, "--image", str(image), "--target", str(disk)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 < limit


@pytest.mark.root
@pytest.mark.loop
@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_bomb_is_an_image_of_zeros(kind: str, make_loop: MakeLoop, tmp_path: Path) -> None:
    size = 512 * MIB
    disk = make_loop(size, blank=True)
    program = {"gzip": ["gzip", "-1"], "zstd": ["zstd", "-q", "-c"]}[kind]
    image = tmp_path / "bomb"
    zeros = tmp_path / "zeros"
    with zeros.open("wb") as file:
        file.truncate(size)
    stored_by(*program)(zeros, image)
    began = time.monotonic()
    done, _ = run(image, disk, verify=False)
    assert time.monotonic() - began < 10
    assert done.bytes_skipped >= size - 2 * MIB
    assert not any(start_of(disk, 4 * MIB))


SMALL = b"\xebdisk" + bytes(200_000)
EMPTY = {
    "gzip": (gzip.compress(b""), gzip.compress(SMALL)),
    "bzip2": (bz2.compress(b"\xeb"), bz2.compress(SMALL)),
    "xz": (lzma.compress(b"", preset=0), lzma.compress(SMALL, preset=0)),
    "zstd": (zstd(b""), zstd(SMALL)),
    "skippable": (struct.pack("<II", 0x184D2A50, 0), zstd(SMALL)),
}


@pytest.mark.parametrize("kind", EMPTY)
def test_many_members_of_nothing_take_their_time_once(kind: str, tmp_path: Path) -> None:
    member, last = EMPTY[kind]
    image = tmp_path / "disk.img"
    seconds = []
    for count in (20_000, 80_000):
        image.write_bytes(member * count + last)
        began = time.process_time()
        inspect(locate(str(image)))
        seconds.append(time.process_time() - began)
    # Four times as much, and not sixteen times as long.
    assert seconds[1] < max(10 * seconds[0], 1.0)
    assert seconds[1] < 10


def test_an_image_that_never_begins_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "disk.img.zst"
    image.write_bytes(struct.pack("<II", 0x184D2A50, 80 * MIB) + bytes(80 * MIB) + zstd(SMALL))
    began = time.monotonic()
    with pytest.raises(ImageRefused) as caught:
        inspect(locate(str(image)))
    assert caught.value.message == (
        "the first 67108864 bytes of disk.img.zst hold next to nothing of a disk"
    )
    assert time.monotonic() - began < 5


def part(data: bytes, offset: int, length: int) -> bytes:
    return data[offset : offset + length]


def test_an_xz_index_of_endless_numbers_says_nothing(tmp_path: Path) -> None:
    body = lzma.compress(SMALL, preset=0)
    for index in (
        b"\0" + b"\xff" * (MIB - 1),  # one number that does not end
        b"\0" + b"\xff" * 8 + b"\x7f" + b"\1" * (MIB - 10),  # 2^63 records
    ):
        tail = (len(index) // 4 - 1).to_bytes(4, "little") + b"\0\4"
        data = body + index + zlib.crc32(tail).to_bytes(4, "little") + tail + b"YZ"
        began = time.monotonic()
        assert decoded_size(partial(part, data), len(data)) is None
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("rest", [bytes(8 * MIB), lzma.compress(b"", preset=0) * 50_000])
def test_an_xz_file_of_many_parts_is_not_asked_about_for_ever(rest: bytes) -> None:
    data = rest + lzma.compress(SMALL, preset=0) + rest
    asked = 0

    def read_at(offset: int, length: int) -> bytes:
        nonlocal asked
        asked += 1
        return data[offset : offset + length]

    decoded_size(read_at, len(data))
    # Over a network each of these is a request.
    assert asked < 200


def test_padding_within_reason_keeps_the_size() -> None:
    data = lzma.compress(SMALL, preset=0) + bytes(64 * 1024)
    assert decoded_size(partial(part, data), len(data)) == len(SMALL)


HUGE = 2**64 - 1


@pytest.mark.parametrize("entries", [0, 2, 34, HUGE])
@pytest.mark.parametrize("count", [0, 128, 2**32 - 1])
@pytest.mark.parametrize("size", [0, 1, 128, 2**32 - 1])
@pytest.mark.parametrize("sector", [512, 4096])
def test_an_absurd_gpt_is_read_quickly(entries: int, count: int, size: int, sector: int) -> None:
    head = bytearray(b"\xff" * 34 * 4096)
    header = struct.pack(
        "<8s4I4Q16sQ3I",
        b"EFI PART",
        65536,
        92,
        0,
        0,
        1,
        HUGE,
        HUGE,
        HUGE,
        bytes(16),
        entries,
        count,
        size,
        0,
    )
    head[sector : sector + len(header)] = header
    began = time.monotonic()
    read_table(bytes(head))
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("length", [512, 520, 540, 600, 603, 604, 4096, 4104, 4190])
def test_a_gpt_that_ends_in_its_header_is_none(length: int) -> None:
    for sector in (512, 4096):
        head = bytearray(length)
        head[sector : sector + 8] = b"EFI PART"
        read_table(bytes(head[:length]))


@pytest.mark.root
@pytest.mark.loop
@pytest.mark.qemu
@pytest.mark.parametrize("size", [2**63, 2**64 - 512, 2**62])
def test_an_absurd_qcow2_is_no_image(size: int, make_loop: MakeLoop, tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    raw.write_bytes(SMALL)
    image = qcow2(raw, tmp_path / "disk.qcow2")
    with image.open("r+b") as file:
        file.seek(24)
        file.write(struct.pack(">Q", size))
    disk = make_loop(4 * MIB)
    began = time.monotonic()
    with pytest.raises(BtyError):
        run(image, disk)
    assert time.monotonic() - began < 5
    assert set(disk.read_bytes()) == {0xFF}
