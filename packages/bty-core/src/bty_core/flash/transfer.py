"""From a source to whoever takes the decoded bytes: reading, hashing, decoding and taking, all at the same time."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag
from threading import Lock, Thread
from time import perf_counter
from typing import Protocol

from bty_core.errors import Cancelled
from bty_core.events import Retrying
from bty_core.flash.flow import Chunk, Flow, Lane, Pool
from bty_core.images.decode import MAX_WINDOW, Decoder, decoder, fill
from bty_core.images.formats import Format
from bty_core.images.qcow2 import Qcow2Decoder
from bty_core.images.source import Source, Stream
from bty_core.values import KIB, MIB

CHUNK = 4 * MIB
_CHUNKS = 6
_STORED_CHUNK = 512 * KIB
_STORED_CHUNKS = 8
_TICK_SECONDS = 0.2
# A thread that waits for a network may not notice at once that its work is over; it never touches the disk.
_LEAVE_SECONDS = 2.0


class Taker(Protocol):
    """Takes the decoded bytes of an image, in order."""

    def take(self, chunk: Chunk) -> None:
        """Use the chunk's bytes, which belong at `chunk.offset`, and leave them as they are: they may be hashed yet.

        All but the last chunk are `CHUNK` bytes long; the memory behind the last one's bytes is free to use.
        """


@dataclass(slots=True)
class Meter:
    """How far a transfer is, written by its threads and read by whoever watches."""

    source_bytes: int = 0
    decoded_bytes: int = 0
    source_seconds: float = 0.0
    decode_seconds: float = 0.0
    disk_seconds: float = 0.0
    retries: deque[Retrying] = field(default_factory=deque)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be transferred."""

    source: Source
    format: Format
    virtual_size: int | None  # of a qcow2; streams end by themselves
    hashing: bool
    max_window: int = MAX_WINDOW


@dataclass(frozen=True, slots=True)
class Moved:
    """What went through."""

    source_bytes: int
    decoded_bytes: int
    sha256: str | None  # of the bytes as stored


def transfer(request: Request, taker: Taker, tick: Callable[[Meter], None], cancel: Flag) -> Moved:
    """Hand all decoded bytes of the source to `taker`, and return when it has taken the last.

    `tick` is called several times a second in the calling thread, `taker` in a thread of its own. On return every
    byte was read, decoded and hashed; on raise the taker is not called any more. Setting `cancel` raises `Cancelled`.
    """
    run = _Run(request, taker)

    def watch() -> None:
        tick(run.meter)
        if cancel.is_set():
            raise Cancelled("stopped on request")

    with ExitStack() as cleanup:
        run.open(cleanup, watch)
        run.start()
        try:
            while not run.flow.wait(_TICK_SECONDS):
                watch()
        except BaseException:
            run.stop()
            raise
    tick(run.meter)
    return Moved(
        run.meter.source_bytes,
        run.meter.decoded_bytes,
        run.digest.hexdigest() if request.hashing else None,
    )


class _Opening:
    """A source on its way to being open, in a thread of its own: a server may take half a minute to answer."""

    def __init__(self, source: Source, meter: Meter) -> None:
        self._source = source
        self._meter = meter
        self._lock = Lock()
        self._left = False
        self._stream: Stream | None = None
        self._error: BaseException | None = None
        self._thread = Thread(target=self._open, name="bty-open", daemon=True)

    def wait(self, watch: Callable[[], None]) -> Stream:
        """Return the open stream; whoever is called away by `watch` leaves it to be closed when it comes."""
        self._thread.start()
        try:
            self._thread.join(_TICK_SECONDS)
            while self._thread.is_alive():
                watch()
                self._thread.join(_TICK_SECONDS)
        except BaseException:
            with self._lock:
                self._left = True
            if self._stream is not None:
                self._stream.close()
            raise
        if self._stream is None:
            assert self._error is not None
            raise self._error
        return self._stream

    def _open(self) -> None:
        try:
            stream = self._source.open(self._meter.retries.append)
        except BaseException as error:  # noqa: BLE001  # raised again by wait(), in the thread that waits
            self._error = error
            return
        with self._lock:
            if not self._left:
                self._stream = stream
                return
        stream.close()


class _Run:
    """The threads of one transfer and what they share."""

    def __init__(self, request: Request, taker: Taker) -> None:
        self.request = request
        self.taker = taker
        self.meter = Meter()
        self.flow = Flow()
        self.digest = hashlib.sha256()
        self._raw = request.format is Format.RAW
        self._qcow2 = request.format is Format.QCOW2
        self._to_hash: Lane[Chunk] = Lane(self.flow)
        self._to_decode: Lane[Chunk] = Lane(self.flow)
        self._to_take: Lane[Chunk] = Lane(self.flow)
        self._stream: Stream | None = None
        self._decoder: Decoder | None = None

    def open(self, cleanup: ExitStack, watch: Callable[[], None]) -> None:
        """Open the source and the decoder; `cleanup` closes them. What `watch` raises meanwhile ends the wait."""
        if not self._qcow2 or self.request.hashing:
            opening = _Opening(self.request.source, self.meter)
            self._stream = opening.wait(watch)
            cleanup.callback(self._stream.close)
        if self._qcow2:
            assert self.request.virtual_size is not None
            path = Path(str(self.request.source))
            self._decoder = cleanup.enter_context(Qcow2Decoder(path, self.request.virtual_size))
        elif not self._raw:
            feed = _LaneFeed(self._to_decode, self.request.source.name)
            self._decoder = decoder(self.request.format, feed, self.request.max_window)

    def start(self) -> None:
        """Start the threads that this source needs."""
        if self._stream is not None:
            self._reader = self.flow.start(self._read, "read")
        if self.request.hashing:
            self.flow.start(self._hash, "hash")
        if self._decoder is not None:
            self.flow.start(self._decode, "decode")
        self._taking = self.flow.start(self._take, "take")

    def stop(self) -> None:
        """End the threads, and return only when the taker is called no more."""
        self.flow.stop()
        try:
            if self._stream is not None:
                self._stream.close()
                self._reader.join(_LEAVE_SECONDS)
        finally:
            while self._taking.is_alive():
                # A second Ctrl-C must not close the disk under a thread that uses it.
                with suppress(KeyboardInterrupt):
                    self._taking.join()

    def _read(self) -> None:
        stream = self._stream
        assert stream is not None
        size = CHUNK if self._raw else _STORED_CHUNK
        pool = Pool(self.flow, _CHUNKS if self._raw else _STORED_CHUNKS, size)
        lanes = [self._to_hash] if self.request.hashing else []
        if not self._qcow2:
            lanes.append(self._to_take if self._raw else self._to_decode)
        while True:
            chunk = pool.take()
            began = perf_counter()
            chunk.length = fill(stream, chunk.memory)
            self.meter.source_seconds += perf_counter() - began
            if not chunk.length:
                break
            chunk.offset = self.meter.source_bytes
            self.meter.source_bytes += chunk.length
            chunk.hold(len(lanes))
            for lane in lanes:
                lane.put(chunk)
        for lane in lanes:
            lane.close()

    def _hash(self) -> None:
        while (chunk := self._to_hash.get()) is not None:
            self.digest.update(chunk.view)
            chunk.release()

    def _decode(self) -> None:
        decoding = self._decoder
        assert decoding is not None
        pool = Pool(self.flow, _CHUNKS, CHUNK)
        offset = 0
        while True:
            chunk = pool.take()
            began = perf_counter()
            waited = self._to_decode.waited
            chunk.length = fill(decoding, chunk.memory)
            self.meter.decode_seconds += perf_counter() - began - (self._to_decode.waited - waited)
            if not chunk.length:
                break
            chunk.offset = offset
            offset += chunk.length
            chunk.hold(1)
            self._to_take.put(chunk)
        self._to_take.close()

    def _take(self) -> None:
        while (chunk := self._to_take.get()) is not None:
            began = perf_counter()
            self.taker.take(chunk)
            self.meter.disk_seconds += perf_counter() - began
            self.meter.decoded_bytes = chunk.offset + chunk.length
            chunk.release()


class _LaneFeed:
    """The stored bytes, as a decoder takes them."""

    def __init__(self, lane: Lane[Chunk], name: str) -> None:
        self.name = name
        self.offset = 0
        self._lane = lane
        self._chunk: Chunk | None = None
        self._at = 0

    def read(self, size: int) -> memoryview:
        # What the last call returned is in use until this one.
        if self._chunk is not None and self._at == self._chunk.length:
            self._chunk.release()
            self._chunk = None
        if self._chunk is None:
            self._chunk = self._lane.get()
            self._at = 0
            if self._chunk is None:
                return memoryview(b"")
        data = self._chunk.view[self._at : self._at + size]
        self._at += len(data)
        self.offset += len(data)
        return data
