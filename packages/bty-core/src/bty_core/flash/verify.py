"""Reading the disk back, past the page cache, and comparing it with what was written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event as Flag

import xxhash

from bty_core.errors import Cancelled, VerifyFailed
from bty_core.flash.flow import Chunk, Flow, Lane, Pool
from bty_core.flash.target import Target
from bty_core.flash.transfer import CHUNK
from bty_core.flash.writer import Written
from bty_core.flash.zeros import is_zero

_CHUNKS = 4
_TICK_SECONDS = 0.2


def read_back(
    target: Target, written: Sequence[Written], tick: Callable[[int], None], cancel: Flag
) -> None:
    """Read all of `written` from the target and compare; `tick` hears how many bytes were found right.

    Raises `VerifyFailed` for the first chunk that differs, `WriteFailed` where the disk cannot be read.
    """
    target.forget_cache()
    flow = Flow()
    pool = Pool(flow, _CHUNKS, CHUNK)
    lane: Lane[tuple[Chunk, Written]] = Lane(flow)
    right = 0

    def read() -> None:
        for piece in written:
            chunk = pool.take()
            chunk.hold(1)
            padded = target.padded(piece.length)
            chunk.length = min(target.read(chunk.memory[:padded], piece.offset), piece.length)
            lane.put((chunk, piece))
        lane.close()

    def compare() -> None:
        nonlocal right
        while (item := lane.get()) is not None:
            chunk, piece = item
            if chunk.length < piece.length or not _holds(chunk.view, piece):
                raise VerifyFailed(
                    f"{target.disk.path} does not hold what was written to it, between byte {piece.offset}"
                    f" and {piece.offset + piece.length}",
                    hint="flash it again; if it fails again, replace the disk: it loses data",
                )
            right += piece.length
            chunk.release()
            if cancel.is_set():
                raise Cancelled("stopped on request")

    threads = [flow.start(read, "read-back"), flow.start(compare, "compare")]
    try:
        tick(0)
        while not flow.wait(_TICK_SECONDS):
            tick(right)
    finally:
        flow.stop()
        for thread in threads:
            thread.join()
    tick(right)


def _holds(view: memoryview, piece: Written) -> bool:
    if piece.digest is None:
        return is_zero(view)
    return xxhash.xxh3_128_digest(view) == piece.digest
