"""How the decoded bytes get onto the disk: the head last, runs of zeros by the device, a digest of each chunk kept."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto

import xxhash

from bty_core.errors import DiskTooSmall, VerifyFailed, WriteFailed
from bty_core.flash.flow import Chunk
from bty_core.flash.gpt import move_backup
from bty_core.flash.target import Target, aligned
from bty_core.flash.zeros import is_zero
from bty_core.values import KIB, MIB, size_text

HEAD = MIB
# Superblocks that are found by a signature start within this, btrfs's being the farthest.
_SIGNATURE_BYTES = 128 * KIB
_BLOCK = 64 * KIB
# Handing a shorter run to the device costs more than writing it.
_RUN = 256 * KIB
_LONG_RUN = 128 * MIB


@dataclass(frozen=True, slots=True)
class Written:
    """A piece of the image that is on the disk."""

    offset: int
    length: int  # bytes
    digest: bytes | None  # None: nothing but zeros


@dataclass(frozen=True, slots=True)
class Held:
    """A part of the image that is written last."""

    offset: int
    data: bytes


class DiskState(Enum):
    """What a flash has made of its disk so far."""

    UNTOUCHED = auto()
    DEAD = auto()  # the first and the last MiB hold zeros, for certain
    UNKNOWN = auto()  # old and new tables may be there, whole or in part


class DiskWriter:
    """Takes the chunks of an image in order and puts them onto a target.

    Until `commit` the first and the last MiB of the disk hold zeros, so that no firmware and no kernel takes what is
    there for a system.
    """

    def __init__(self, target: Target, image: str, *, remember: bool) -> None:
        """Write to `target`; `remember` keeps what is needed to read it back, in `written`."""
        self.bytes_written = 0
        self.bytes_skipped = 0
        self.total = 0
        self.state = DiskState.UNTOUCHED
        self.written: list[Written] = []
        self.held: list[Held] = []
        self._target = target
        self._image = image
        self._remember = remember
        self._zeros = (0, 0)  # a run of zeros that is not on the disk yet: start, end
        size = target.size
        self._held_areas = (
            [(0, HEAD)] if size is None else [(0, HEAD), (max(HEAD, size - HEAD), size)]
        )

    @property
    def head(self) -> bytes:
        """The start of the image, as far as it is held back."""
        return next((part.data for part in self.held if part.offset == 0), b"")

    def wipe(self) -> None:
        """Take away, durably, the partition tables and signatures of what was on the disk."""
        target = self._target
        self.state = DiskState.UNKNOWN
        size = target.old_size
        areas = [(0, HEAD), (max(HEAD, size - HEAD), size)]
        areas += [
            (part.start, part.start + min(_SIGNATURE_BYTES, part.size))
            for part in target.disk.partitions
        ]
        for start, end in areas:
            if start < min(end, size):
                target.zero(start, min(end, size) - start)
        target.flush()
        self.state = DiskState.DEAD
        target.read_table_again()

    def take(self, chunk: Chunk) -> None:
        """Write one chunk; raise `DiskTooSmall` where the image turns out not to fit."""
        self.total = chunk.offset + chunk.length
        limit = self._target.size
        if limit is not None and self.total > limit:
            raise DiskTooSmall(
                f"{self._image} holds more than the {limit} bytes ({size_text(limit)}) of {self._target.disk.path}",
                hint="choose a larger disk",
            )
        padded = self._pad(chunk)
        for start, end in self._hold_back(chunk, padded):
            view, at = chunk.memory[start:end], chunk.offset + start
            runs = _runs(view)
            for first, last, zero in runs:
                if zero:
                    self._zero(at + first, at + last)
                else:
                    self._make_zeros()
                    self._target.write(view[first:last], at + first)
                    self.bytes_written += min(start + last, chunk.length) - (start + first)
            length = min(end, chunk.length) - start
            if self._remember:
                digest = None if _all_zero(runs) else xxhash.xxh3_128_digest(view[:length])
                self.written.append(Written(at, length, digest))

    def finish(self) -> None:
        """Do what is still owed for the last chunk, and flush."""
        self._make_zeros()
        self._target.grow(self.total)
        self._target.flush()

    def move_gpt(self, disk_size: int) -> None:
        """Have `commit` write a GPT whose backup stands at the end of a disk of `disk_size` bytes."""
        moved = move_backup(self.head, disk_size)
        if moved is None:
            return
        offset, length = moved.old_header
        if offset + length <= self.total:
            self._target.zero(offset, length)
        self.held = [
            Held(0, moved.head)
            if part.offset == 0
            else Held(part.offset, part.data[: moved.backup_at - part.offset])
            for part in self.held
            if part.offset < moved.backup_at
        ]
        self.held.append(Held(moved.backup_at, moved.backup))

    def commit(self) -> None:
        """Write the parts that were held back, the head at the very end, and read them back.

        To be called only after everything else was found to be right. On any failure the parts are taken away again.
        """
        self.state = DiskState.UNKNOWN
        try:
            self._write_held()
        except BaseException:
            self._take_held_away()
            raise

    def _write_held(self) -> None:
        room = memoryview(aligned(HEAD))
        target = self._target
        for part in sorted(self.held, key=lambda part: part.offset, reverse=True):
            room[:] = bytes(HEAD)
            room[: len(part.data)] = part.data
            target.write(room[: target.padded(len(part.data))], part.offset)
            target.flush()
            self.bytes_written += len(part.data)
        target.forget_cache()
        for part in self.held:
            got = target.read(room[: target.padded(len(part.data))], part.offset)
            if got < len(part.data) or part.data != room[: len(part.data)]:
                raise VerifyFailed(
                    f"{target.disk.path} does not hold what was written to it at byte {part.offset}",
                    hint="replace the disk: it loses data",
                )

    def _take_held_away(self) -> None:
        """Leave a disk that does not boot, as far as it still takes writes."""
        with suppress(WriteFailed):
            for part in sorted(self.held, key=lambda part: part.offset):
                self._target.zero(part.offset, self._target.padded(len(part.data)))
            self._target.flush()
            self.state = DiskState.DEAD

    def _pad(self, chunk: Chunk) -> int:
        padded = self._target.padded(chunk.length)
        if padded > chunk.length:
            chunk.memory[chunk.length : padded] = bytes(padded - chunk.length)
        return padded

    def _hold_back(self, chunk: Chunk, padded: int) -> list[tuple[int, int]]:
        """Copy what is written last, and return where the rest of `chunk` is: pairs of start and end.

        The chunk itself stays as it is, because another thread may be hashing it.
        """
        rest = []
        at = 0
        for start, end in self._held_areas:
            first = min(max(start - chunk.offset, 0), chunk.length)
            last = min(max(end - chunk.offset, 0), chunk.length)
            if first < last:
                self.held.append(Held(chunk.offset + first, bytes(chunk.memory[first:last])))
                rest.append((at, first))
                at = padded if last == chunk.length else last
        rest.append((at, padded))
        return [(start, end) for start, end in rest if start < end]

    def _zero(self, start: int, end: int) -> None:
        """Note a run of zeros; neighbours become one, so that the device gets few and long ones."""
        if self._zeros[1] != start:
            self._make_zeros()
            self._zeros = (start, end)
        else:
            self._zeros = (self._zeros[0], end)
        # Made while the next bytes are decoded, not all at the end.
        if self._zeros[1] - self._zeros[0] >= _LONG_RUN:
            self._make_zeros()

    def _make_zeros(self) -> None:
        (start, end), self._zeros = self._zeros, (0, 0)
        if start == end:
            return
        of_image = min(end, self.total) - start
        if self._target.zero(start, end - start):
            self.bytes_skipped += of_image
        else:
            self.bytes_written += of_image


def _all_zero(runs: list[tuple[int, int, bool]]) -> bool:
    return all(zero for _, _, zero in runs)


def _runs(view: memoryview) -> list[tuple[int, int, bool]]:
    """Cut `view` into runs of data and of zeros that are worth handing to the device: start, end, whether zeros."""
    if is_zero(view):
        return [(0, len(view), True)]
    runs: list[tuple[int, int, bool]] = []
    for at in range(0, len(view), _BLOCK):
        block = view[at : at + _BLOCK]
        zero = is_zero(block)
        end = at + len(block)
        if zero:
            _extend(runs, at, end, zero=True)
        else:
            # Zeros between data are data, unless there are enough of them.
            if len(runs) > 1 and runs[-1][2] and runs[-1][1] - runs[-1][0] < _RUN:
                start, _, _ = runs.pop()
                _extend(runs, start, at, zero=False)
            _extend(runs, at, end, zero=False)
    return runs


def _extend(runs: list[tuple[int, int, bool]], start: int, end: int, *, zero: bool) -> None:
    if runs and runs[-1][2] == zero:
        start = runs.pop()[0]
    runs.append((start, end, zero))
