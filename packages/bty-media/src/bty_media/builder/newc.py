"""Archives in the newc format of cpio, which the kernel unpacks as its initrd.

Source: Documentation/driver-api/early-userspace/buffer-format.rst of the Linux kernel.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from bty_core.errors import InvalidValue

_MAGIC = b"070701"
_ALIGNMENT = 4
_BLOCK = 512
_FOLDER, _FILE = 0o040755, 0o100000
_LARGEST = 0xFFFF_FFFF  # bytes of one file: its size has eight hexadecimal digits


def append_files(
    archive: IO[bytes],
    files: Mapping[PurePosixPath, tuple[Path, int]],
    folders: Iterable[str] = (),
) -> None:
    """Append an archive of `files` (source and permissions by name) to an initrd that ends here.

    The kernel unpacks archives one after the other. Folders of files come by themselves, empty ones are
    named. Owner is root, times are zero: the same files make the same bytes. Raises `InvalidValue` for a
    file of 4 GiB or more, or a name that is not relative.
    """
    _align(archive, _BLOCK)
    wanted = {PurePosixPath(folder) for folder in folders}
    for name, (source, _) in files.items():
        if name.is_absolute() or ".." in name.parts or not name.parts:
            raise InvalidValue(f"'{name}' is no relative path")
        if source.stat().st_size > _LARGEST:
            raise InvalidValue(f"{source} is too large: an initrd takes files of less than 4 GiB")
        wanted.update(list(name.parents)[:-1])
    for number, folder in enumerate(sorted(wanted), 1):
        _header(archive, number, _FOLDER, 0, folder)
    for number, (name, (source, mode)) in enumerate(sorted(files.items()), len(wanted) + 1):
        _header(archive, number, _FILE | mode, source.stat().st_size, name)
        with source.open("rb") as content:
            shutil.copyfileobj(content, archive, 1 << 20)
        _align(archive, _ALIGNMENT)
    _header(archive, 0, 0, 0, PurePosixPath("TRAILER!!!"))
    _align(archive, _BLOCK)


def _header(archive: IO[bytes], number: int, mode: int, size: int, name: PurePosixPath) -> None:
    spelled = str(name).encode() + b"\0"
    links = 2 if mode == _FOLDER else 1
    # inode, mode, uid, gid, links, mtime, size, two device numbers twice, length of the name, checksum
    fields = (number, mode, 0, 0, links, 0, size, 0, 0, 0, 0, len(spelled), 0)
    archive.write(_MAGIC + b"".join(b"%08X" % field for field in fields) + spelled)
    _align(archive, _ALIGNMENT)


def _align(archive: IO[bytes], to: int) -> None:
    archive.write(bytes(-archive.tell() % to))
