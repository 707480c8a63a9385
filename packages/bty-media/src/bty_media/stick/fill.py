"""Putting images onto a stick, and comparing what it then holds."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from bty_core.errors import DigestMismatch, ImageUnavailable, VerifyFailed, WriteFailed
from bty_core.flash.kernel import drop_cache
from bty_core.values import MIB
from bty_media.stick.additions import Addition
from bty_media.stick.device import mounted

_CHUNK = 4 * MIB

Tick = Callable[[int], None]  # is told how many bytes more were done


def copy_onto(partition: Path, additions: Sequence[Addition], tick: Tick) -> dict[str, str]:
    """Copy images and what stands beside them; return their SHA-256 in hexadecimal, by name.

    An image that has no file with its digest beside it gets one. Raises `DigestMismatch` for one that is
    not what its digest says, `WriteFailed`, `CommandFailed`. An image has its name only when it is whole.
    """
    digests = {}
    with _mount_point() as folder, mounted(partition, folder):
        for one in additions:
            digests[one.name] = _copy(one, folder, tick)
    return digests


def compare(partition: Path, digests: dict[str, str], tick: Tick) -> None:
    """Read the images back from the medium; raise `VerifyFailed` for one that is not what was copied."""
    handle = os.open(partition, os.O_RDONLY | os.O_CLOEXEC)
    try:
        drop_cache(handle)
    finally:
        os.close(handle)
    with _mount_point() as folder, mounted(partition, folder, read_only=True):
        for name, wanted in digests.items():
            found = hashlib.sha256()
            try:
                for data in _chunks(folder / name):
                    found.update(data)
                    tick(len(data))
            except OSError as error:
                raise VerifyFailed(
                    f"{name} cannot be read back: {error.strerror}", hint="take another stick"
                ) from error
            if found.hexdigest() != wanted:
                raise VerifyFailed(
                    f"{partition} does not hold {name} as it was copied",
                    hint="take another stick: this one loses data",
                )


def _copy(one: Addition, folder: Path, tick: Tick) -> str:
    digest = hashlib.sha256()
    part = folder / f".{one.name}.part"
    try:
        with _written(part) as file:
            for data in _read(one):
                digest.update(data)
                file.write(data)
                tick(len(data))
        found = digest.hexdigest()
        if one.digest and one.digest.digest.hex != found:
            raise DigestMismatch(
                f"{one.name} has the digest sha256:{found}, and {one.digest.origin} says {one.digest.digest}",
                hint="fetch the image again, or correct the digest",
            )
        for beside in one.beside:
            shutil.copyfile(beside, folder / beside.name)
        if one.sums:
            (folder / one.sums).write_text(f"{found}  {one.name}\n")
        part.rename(folder / one.name)
    except BaseException as error:
        with suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            raise WriteFailed(
                f"{one.name} cannot be written onto the stick: {error.strerror}",
                hint="try another port, or another stick",
            ) from error
        raise
    return found


def _read(one: Addition) -> Iterator[bytes]:
    try:
        yield from _chunks(one.source.path)
    except OSError as error:
        raise ImageUnavailable(f"{one.source.path} cannot be read: {error.strerror}") from error


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            yield data


@contextmanager
def _written(path: Path) -> Iterator[IO[bytes]]:
    """A new file, which is on the medium when the block is left."""
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _mount_point() -> Iterator[Path]:
    # Not a temporary folder that is emptied at the end: what is mounted there must never be emptied.
    folder = Path(tempfile.mkdtemp(prefix="bty-stick-"))
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()
