"""qcow2: the one format that is no stream. Its header is read here, its content through QEMU's own tools."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bty_core.errors import ImageCorrupt, ImageRefused
from bty_core.images.nbd import NbdExport

HEADER_BYTES = 112
_DIRTY, _CORRUPT, _EXTERNAL_DATA = 1, 2, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Qcow2Header:
    """What the first bytes of a qcow2 file say."""

    virtual_size: int  # bytes
    backing_file: bool
    encrypted: bool
    corrupt: bool
    external_data: bool


def read_header(head: bytes, name: str) -> Qcow2Header:
    """Read the header at the start of `head`; raise `ImageCorrupt` where it is cut short or of an unknown version."""
    if len(head) < 72:
        raise ImageCorrupt(f"{name} ends inside its qcow2 header", hint="fetch it again")
    version, backing, size, crypt = struct.unpack_from(">4xIQ8xQI", head)
    if version not in (2, 3):
        raise ImageRefused(
            f"{name} is qcow2 of version {version}", hint="convert it: qemu-img convert -O qcow2"
        )
    features = struct.unpack_from(">Q", head, 72)[0] if version == 3 and len(head) >= 80 else 0
    return Qcow2Header(
        virtual_size=size,
        backing_file=backing != 0,
        encrypted=crypt != 0,
        corrupt=bool(features & _CORRUPT),
        external_data=bool(features & _EXTERNAL_DATA),
    )


def refuse_incomplete(header: Qcow2Header, name: str) -> None:
    """Raise `ImageRefused` where the file needs something beside itself, or says itself that it is damaged."""
    flatten = f"make it whole first: qemu-img convert -O qcow2 {name} whole.qcow2"
    if header.backing_file:
        raise ImageRefused(f"{name} is only the difference to a backing file", hint=flatten)
    if header.external_data:
        raise ImageRefused(f"{name} keeps its data in another file", hint=flatten)
    if header.encrypted:
        raise ImageRefused(f"{name} is encrypted", hint="decrypt it first with qemu-img convert")
    if header.corrupt:
        raise ImageCorrupt(
            f"{name} is marked as corrupt",
            hint="mend it with qemu-img check -r all, or fetch it again",
        )


class Qcow2Decoder:
    """The content of a qcow2 file, first byte to last."""

    def __init__(self, path: Path, virtual_size: int) -> None:
        self._name = path.name
        self._export = NbdExport(path, "qcow2")
        self._size = virtual_size
        self._at = 0
        if self._export.size < virtual_size:
            self.close()
            raise ImageCorrupt(
                f"{self._name} says that it holds {virtual_size} bytes, but QEMU finds {self._export.size}",
                hint="the file is damaged: fetch it again",
            )

    def readinto(self, view: memoryview) -> int:
        """Fill the start of `view`; 0 at the end of the virtual disk."""
        length = min(len(view), self._size - self._at)
        if length:
            self._export.readinto(view[:length])
            self._at += length
        return length

    def close(self) -> None:
        """End QEMU's part."""
        self._export.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
