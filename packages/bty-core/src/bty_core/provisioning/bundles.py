"""Archives of workflows: read with suspicion, and packed anew so that the same files are the same bytes."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from bty_core.values import MIB, size_text
from bty_core.wire.fields import InvalidField

MOST_PACKED = 32 * MIB
MOST_UNPACKED = 64 * MIB
MOST_FILES = 2000
_FIELD = "archive"


def unpack(data: bytes, folder: Path) -> list[str]:
    """Write the files of a tar (also gzip, bzip2, xz) or zip into `folder`, which is empty; return their names.

    Names are POSIX and relative. A single folder that everything lies in is left out. Raises
    `InvalidField` for what is no archive, too large, or not made of plain files alone.
    """
    found = dict(_checked(_files(data)))
    if not found:
        raise InvalidField(_FIELD, "the archive is empty")
    found = _without_top(found)
    for name, content in found.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return sorted(found)


def pack(folder: Path, names: list[str]) -> bytes:
    """Return files of `folder` as tar.gz, the same bytes for the same files."""
    return pack_files({name: (folder / name).read_bytes() for name in names})


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """Return `files` as tar.gz, the same bytes for the same files."""
    made = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=made, mode="wb", mtime=0, filename="") as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o644
            tar.addfile(member, io.BytesIO(content))
    return made.getvalue()


def _files(data: bytes) -> Iterator[tuple[str, bytes]]:
    if len(data) > MOST_PACKED:
        raise InvalidField(_FIELD, f"the archive has more than {size_text(MOST_PACKED)}")
    try:
        if data[:2] == b"PK":
            yield from _zip(data)
        else:
            yield from _tar(data)
    except InvalidField:
        raise
    # Damaged archives make the libraries raise much more than their own failures.
    except Exception as error:
        raise InvalidField(
            _FIELD,
            f"this is no archive that can be read: {str(error).lower()[:200]}",
            hint="send a tar, tar.gz or zip with the task file, its scripts and its configuration",
        ) from error


def _tar(data: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as tar:
        for member in tar:
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                raise _not_plain(member.name)
            content = tar.extractfile(member)
            assert content is not None
            yield member.name, content.read(MOST_UNPACKED + 1)


def _zip(data: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            kind = member.external_attr >> 28
            if kind not in (0, 0o10):
                raise _not_plain(member.filename)
            with archive.open(member) as content:
                yield member.filename, content.read(MOST_UNPACKED + 1)


def _checked(files: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    size = 0
    seen: set[str] = set()
    for name, content in files:
        path = PurePosixPath(name)
        size += len(content)
        if size > MOST_UNPACKED:
            raise InvalidField(_FIELD, f"its files have more than {size_text(MOST_UNPACKED)}")
        if len(seen) >= MOST_FILES:
            raise InvalidField(_FIELD, f"it has more than {MOST_FILES} files")
        if path.is_absolute() or ".." in path.parts or not path.parts or not name.isprintable():
            raise InvalidField(_FIELD, f"'{name[:120]}' is no name that a file in it may have")
        if len(str(path)) > 200 or "\\" in name:
            raise InvalidField(_FIELD, f"'{name[:120]}' is no name that a file in it may have")
        if str(path) in seen:
            raise InvalidField(_FIELD, f"'{path}' is in it twice")
        seen.add(str(path))
        yield str(path), content


def _without_top(found: dict[str, bytes]) -> dict[str, bytes]:
    """Leave out the one folder that everything lies in, as `tar` of a folder makes it."""
    tops = {PurePosixPath(name).parts[0] for name in found}
    if len(tops) != 1 or any(len(PurePosixPath(name).parts) == 1 for name in found):
        return found
    return {
        str(PurePosixPath(*PurePosixPath(name).parts[1:])): content
        for name, content in found.items()
    }


def _not_plain(name: str) -> InvalidField:
    return InvalidField(
        _FIELD, f"'{name[:120]}' is no plain file", hint="put nothing but files and folders into it"
    )
