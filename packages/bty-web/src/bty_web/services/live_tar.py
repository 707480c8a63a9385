"""Reading the tar of a live environment as it comes: nothing that it announces is believed or kept unchecked."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NoReturn, Self, cast

from bty_core.errors import ImageCorrupt
from bty_core.values import MIB
from bty_core.wire.fields import InvalidField
from bty_web.services.live import MANIFEST, LiveFile, Manifest
from bty_web.services.uploads import Readable

LARGEST_MANIFEST = 256 * 1024
LARGEST_HEADER = 64 * 1024  # a long name, or attributes: tarfile holds them in memory
_CHUNK = 1 * MIB
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)
_ABOUT_THE_NEXT = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_COMPRESSED = (b"\x1f\x8b", b"\xfd7", b"\x28\xb5", b"BZ")


def unpack(stream: Readable, folder: Path, room: Callable[[int], None]) -> Manifest:
    """Write the files of the tar into `folder`, each as the manifest at its head says; return the manifest.

    `room` is asked with the bytes that are to come, and raises where they do not fit. Raises
    `InvalidField` for a tar or manifest that is not one of a live environment, `ImageCorrupt` for a
    file that is not what the manifest says, or a tar that is damaged or cut short.
    """
    source = cast(IO[bytes], _Stream(stream))
    try:
        with tarfile.open(fileobj=source, mode="r|", bufsize=_CHUNK, tarinfo=_Member) as tar:
            return _files(tar, folder, room)
    # A damaged header makes tarfile raise much more than its own failures.
    except (tarfile.TarError, ValueError, ArithmeticError, RecursionError) as error:
        raise ImageCorrupt(
            f"this is no whole tar: {str(error).lower()}",
            hint=f"send an uncompressed tar with {MANIFEST} first",
        ) from error


class _Stream:
    """The body of a request as tarfile reads it; a compressed one is refused by its first bytes."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._first = True

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        if self._first and data[:2] in _COMPRESSED:
            raise InvalidField(
                "", "this tar is compressed", hint="send it uncompressed: its files are already"
            )
        self._first = False
        return data


class _Member(tarfile.TarInfo):
    """A header, judged before anything behind it is read."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        if member.type in _ABOUT_THE_NEXT:
            if member.size > LARGEST_HEADER:
                raise InvalidField("", f"a header in this tar has {member.size} bytes")
        elif member.type not in _PLAIN:
            raise _not_plain(member)
        return member

    def _refuse(self, *_given: object) -> NoReturn:
        raise _not_plain(self)

    # Sparse files: their maps have no bound, and they write more than was sent.
    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse


def _not_plain(member: tarfile.TarInfo) -> InvalidField:
    return InvalidField(
        "",
        f"'{member.name[:120]}' is no plain file",
        hint="put nothing but files into the tar: no folders, links, devices or sparse files",
    )


def _files(tar: tarfile.TarFile, folder: Path, room: Callable[[int], None]) -> Manifest:
    members = _members(tar)
    first = next(members, None)
    if first is None or first.name != MANIFEST or first.size > LARGEST_MANIFEST:
        raise InvalidField("", f"the first file of the tar must be {MANIFEST}")
    manifest = _manifest(_content(tar, first).read())
    room(sum(one.size for one in manifest.files))
    missing = {one.name: one for one in manifest.files}
    for member in members:
        known = missing.pop(member.name, None)
        if known is None:
            raise InvalidField("", f"the manifest does not name '{member.name[:120]}' (again)")
        if member.size != known.size:  # before it is written: what it says may be any number
            raise _other(known, f"{member.size} bytes instead of {known.size}")
        _copy(_content(tar, member), folder / known.name, known)
    if missing:
        raise InvalidField("files", f"the tar does not hold {', '.join(sorted(missing))}")
    return manifest


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in tar:
        if member.type not in _PLAIN or member.issparse():
            raise _not_plain(member)
        member.name = member.name.removeprefix("./")
        yield member


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    assert content is not None  # a plain file has one
    return content


def _manifest(text: bytes) -> Manifest:
    try:
        return Manifest.from_wire(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise InvalidField("", f"{MANIFEST} is no valid JSON") from error


def _copy(source: IO[bytes], path: Path, known: LiveFile) -> None:
    digest = hashlib.sha256()
    with path.open("xb") as file:
        while data := source.read(_CHUNK):
            digest.update(data)
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != known.sha256:
        raise _other(known, f"its SHA-256 is {digest.hexdigest()} instead of {known.sha256}")


def _other(known: LiveFile, how: str) -> ImageCorrupt:
    return ImageCorrupt(
        f"{known.name} is not what the manifest says: {how}",
        hint="build or copy the live environment again",
    )
