"""Archives in the newc format of cpio, which the kernel unpacks as its initrd.

Source: Documentation/driver-api/early-userspace/buffer-format.rst of the Linux kernel.
"""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath
from typing import IO

from bty_core.errors import InvalidValue

_MAGIC = b"070701"
_ALIGNMENT = 4
_BLOCK = 512
_FOLDER, _FILE = 0o040755, 0o100644
_LARGEST = 0xFFFF_FFFF  # bytes of one file: its size has eight hexadecimal digits


def append_file(archive: IO[bytes], source: Path, name: PurePosixPath) -> None:
    """Append an archive that holds `source` as `name`, with its folders, to an initrd that ends here.

    The kernel unpacks archives one after the other. Owner is root, times are zero: the same file makes
    the same bytes. Raises `InvalidValue` for a file of 4 GiB or more, or a name that is not relative.
    """
    size = source.stat().st_size
    if size > _LARGEST:
        raise InvalidValue(f"{source} has {size} bytes: an initrd takes files of less than 4 GiB")
    if name.is_absolute() or ".." in name.parts or not name.parts:
        raise InvalidValue(f"'{name}' is no relative path")
    _align(archive, _BLOCK)
    number = 1
    for folder in reversed(name.parents[:-1]):
        _header(archive, number, _FOLDER, 0, folder.as_posix())
        number += 1
    _header(archive, number, _FILE, size, name.as_posix())
    with source.open("rb") as content:
        shutil.copyfileobj(content, archive, 1 << 20)
    _align(archive, _ALIGNMENT)
    _header(archive, 0, 0, 0, "TRAILER!!!")
    _align(archive, _BLOCK)


def _header(archive: IO[bytes], number: int, mode: int, size: int, name: str) -> None:
    spelled = name.encode() + b"\0"
    links = 2 if mode == _FOLDER else 1
    # inode, mode, uid, gid, links, mtime, size, two device numbers twice, length of the name, checksum
    fields = (number, mode, 0, 0, links, 0, size, 0, 0, 0, 0, len(spelled), 0)
    archive.write(_MAGIC + b"".join(b"%08X" % field for field in fields) + spelled)
    _align(archive, _ALIGNMENT)


def _align(archive: IO[bytes], to: int) -> None:
    archive.write(bytes(-archive.tell() % to))
