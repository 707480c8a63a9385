"""What an image is, from its first bytes: format, sizes, and the partition table inside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bty_core.errors import ImageCorrupt, ImageRefused
from bty_core.images import qcow2, xz_index
from bty_core.images.decode import MAX_WINDOW, decoder, fill
from bty_core.images.formats import SNIFF_BYTES, Format, refuse_decoded, refuse_non_disk, sniff
from bty_core.images.source import Source, Stream
from bty_core.images.table import TABLE_BYTES, ImageTable, TableKind, read_table
from bty_core.images.zstd import FrameWalker
from bty_core.values import KIB, MIB

# A DOS table of the old days ends with the cylinder (255 heads, 63 sectors), the file need not.
_CYLINDER = 255 * 63 * 512
# In any sensible file the partition table is decoded long before.
_START_BYTES = 64 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image as far as its beginning and its size tell."""

    name: str
    source: Source
    format: Format
    size: int | None  # bytes as stored
    virtual_size: int | None  # bytes on the disk; None where only decoding tells
    table: ImageTable | None


def inspect(source: Source, max_window: int = MAX_WINDOW) -> Image:
    """Look at the start of `source`, and at the indexes that say its decoded size.

    Raises `ImageUnavailable`, `ImageRefused` for what is no disk image, and `ImageCorrupt` for what is damaged already
    at the start or too short for the partitions in it.
    """
    stream = source.open(lambda _: None)
    try:
        start = _Start(stream, source.name)
        form = sniff(start.peek(SNIFF_BYTES), source.name)
        virtual_size: int | None
        if form is Format.QCOW2:
            virtual_size, head = _qcow2(source, start.peek(qcow2.HEADER_BYTES))
        else:
            virtual_size = _decoded_size(source, form, start, max_window)
            head = _decoded_head(source, form, start, max_window)
    finally:
        stream.close()
    image = Image(
        name=source.name,
        source=source,
        format=form,
        size=source.size,
        virtual_size=virtual_size,
        table=read_table(head),
    )
    if virtual_size is not None:
        refuse_cut_short(image.table, virtual_size, source.name)
    return image


def refuse_cut_short(table: ImageTable | None, size: int, name: str) -> None:
    """Raise `ImageCorrupt` where the partitions in an image of `size` bytes go on behind its end."""
    if table is None:
        return
    slack = _CYLINDER if table.kind is TableKind.DOS else 0
    if table.end > size + slack:
        raise ImageCorrupt(
            f"{name} is cut short: it has {size} bytes, and its partitions reach to byte {table.end}",
            hint="fetch or copy it again",
        )


def _decoded_size(source: Source, form: Format, start: _Start, max_window: int) -> int | None:
    match form:
        case Format.RAW:
            return source.size
        case Format.XZ:
            return xz_index.decoded_size(source.read_at, source.size) if source.size else None
        case Format.ZSTD:
            return _first_frame_size(start.peek(64 * KIB), source.name, max_window)
        case _:
            return None  # gzip keeps it modulo 4 GiB, bzip2 not at all


def _first_frame_size(head: bytes, name: str, max_window: int) -> int | None:
    """Return what the first frame says; nearly every image is one frame, and the write counts again."""
    walker = FrameWalker(name, max_window)
    for at in range(0, len(head), 64):
        walker.feed(head[at : at + 64])
        if walker.frames:
            return walker.content_size
    return None


def _decoded_head(source: Source, form: Format, start: _Start, max_window: int) -> bytes:
    room = memoryview(bytearray(TABLE_BYTES))
    head = bytes(room[: fill(decoder(form, start, max_window), room)])
    if form.compressed:
        if not head:
            raise ImageCorrupt(
                f"the {form} stream in {source.name} is empty", hint="fetch or make it again"
            )
        refuse_decoded(head[:SNIFF_BYTES], source.name, form)
    return head


def _qcow2(source: Source, head: bytes) -> tuple[int, bytes]:
    if source.remote:
        raise ImageRefused(
            f"{source} is qcow2, which cannot be read while it comes over the network",
            hint="import it on the server, which converts it, or download it first",
        )
    header = qcow2.read_header(head, source.name)
    qcow2.refuse_incomplete(header, source.name)
    room = memoryview(bytearray(min(TABLE_BYTES, header.virtual_size)))
    with qcow2.Qcow2Decoder(Path(str(source)), header.virtual_size) as decoding:
        content = bytes(room[: fill(decoding, room)])
    refuse_non_disk(content[:SNIFF_BYTES], f"the disk in {source.name}")
    return header.virtual_size, content


class _Start:
    """The beginning of a stream, to be looked at before it is decoded; as a feed it starts at the first byte."""

    def __init__(self, stream: Stream, name: str) -> None:
        self.name = name
        self.offset = 0
        self._stream = stream
        self._seen = bytearray()

    def peek(self, length: int) -> bytes:
        """Return the first `length` bytes, or all of a shorter stream."""
        if len(self._seen) < length:
            room = bytearray(length - len(self._seen))
            got = fill(self._stream, memoryview(room))
            self._seen += room[:got]
        return bytes(self._seen[:length])

    def read(self, size: int) -> bytes:
        """Return the next bytes for a decoder, which does not need more than the start."""
        if self.offset == len(self._seen):
            if self.offset >= _START_BYTES:
                raise ImageRefused(
                    f"the first {_START_BYTES} bytes of {self.name} hold next to nothing of a disk",
                    hint="compress the image again: zstd, without options",
                )
            room = bytearray(64 * KIB)
            self._seen += room[: fill(self._stream, memoryview(room))]
        data = bytes(memoryview(self._seen)[self.offset : self.offset + size])
        self.offset += len(data)
        return data
