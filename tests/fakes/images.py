"""Images for tests: bytes that look like a disk, and what the usual programs make of them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

MIB = 2**20


def content(size: int, seed: int = 1) -> bytes:
    """Return `size` bytes as a disk has them: data, short gaps, and long runs of zeros."""
    dice = random.Random(seed)
    parts: list[bytes] = []
    left = size
    while left:
        length = min(left, dice.choice((3, 4096, 70_000, 300_000, 700_000)))
        kind = dice.randrange(3)
        parts.append(dice.randbytes(length) if kind < 2 else bytes(length))
        left -= length
    return b"".join(parts)


def zstd(data: bytes, *options: str) -> bytes:
    """Compress with the zstd program."""
    return subprocess.run(
        ["zstd", "-q", "-c", *options], input=data, capture_output=True, check=True
    ).stdout


def xz(data: bytes, *options: str) -> bytes:
    """Compress with the xz program."""
    return subprocess.run(
        ["xz", "-c", *options], input=data, capture_output=True, check=True
    ).stdout


def quick_xz(data: bytes) -> bytes:
    """Compress as little as xz can."""
    return lzma.compress(data, preset=0)


def quick_gzip(data: bytes) -> bytes:
    """Compress as little as gzip can."""
    return gzip.compress(data, compresslevel=1)


def quick_bzip2(data: bytes) -> bytes:
    """Compress in small blocks."""
    return bz2.compress(data, compresslevel=1)


def in_two(compress: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Return a compressor that makes two members or frames of the data."""

    def compressed(data: bytes) -> bytes:
        middle = len(data) // 3
        return compress(data[:middle]) + compress(data[middle:])

    return compressed


SKIPPABLE = b"\x5a\x2a\x4d\x18\x05\x00\x00\x00hello"

# Each way to store the bytes of a disk as a stream: how a person would call it -> file suffix, compressor.
STREAMS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "raw": ("img", lambda data: data),
    "gzip": ("img.gz", quick_gzip),
    "gzip of two members": ("img.gz", in_two(quick_gzip)),
    "gzip with padding": ("img.gz", lambda data: quick_gzip(data) + bytes(512)),
    "xz": ("img.xz", quick_xz),
    "xz of many blocks": ("img.xz", lambda data: xz(data, "-0", "--block-size=100000")),
    "xz of two streams": ("img.xz", lambda data: in_two(quick_xz)(data) + bytes(8)),
    "bzip2": ("img.bz2", quick_bzip2),
    "bzip2 of two streams": ("img.bz2", in_two(quick_bzip2)),
    "zstd": ("img.zst", zstd),
    "zstd of two frames": ("img.zst", in_two(zstd)),
    "zstd with skippable frames": ("img.zst", lambda data: SKIPPABLE + zstd(data) + SKIPPABLE),
    "zstd with a long window": ("img.zst", lambda data: zstd(data, "--long=27")),
}


def qcow2(raw: Path, to: Path, *options: str) -> Path:
    """Convert a raw image into qcow2 by qemu-img."""
    argv = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, str(raw), str(to)]
    subprocess.run(argv, check=True, capture_output=True)
    return to


def disk_image(path: Path, size: int = 24 * MIB) -> Path:
    """Make a raw image with a GPT of two partitions, an EFI system partition and one with data, by sfdisk."""
    path.write_bytes(b"")
    with path.open("r+b") as file:
        file.truncate(size)
    script = (
        "label: gpt\nlabel-id: 6BDF37B5-44E0-4E0C-8CF7-7C7A1D9B8A11\n"
        "start=1MiB, size=4MiB, type=uefi, name=ESP\n"
        "start=5MiB, type=linux, name=root\n"
    )
    subprocess.run(
        ["sfdisk", "--quiet", str(path)], input=script.encode(), check=True, capture_output=True
    )
    with path.open("r+b") as file:
        file.seek(5 * MIB)
        file.write(content(size // 2 - 5 * MIB))
    return path
