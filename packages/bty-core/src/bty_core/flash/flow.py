"""Threads that hand memory to each other: bounded lanes, and one end for all when one of them fails."""

from __future__ import annotations

import mmap
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from time import perf_counter
from typing import Generic, TypeVar

T = TypeVar("T")


class Stopped(
    Exception
):  # not a failure: the way out of a thread whose work is not needed any more
    """Another part of the flow failed, or somebody cancelled; leave quietly."""


class Flow:
    """The threads of one transfer. The first failure stops them all and is raised by `wait`."""

    def __init__(self) -> None:
        self.changed = Condition()
        self.stopped = False
        self._error: BaseException | None = None
        self._running = 0

    def start(self, work: Callable[[], None], name: str) -> Thread:
        """Run `work` in a thread of its own."""
        thread = Thread(target=self._run, args=(work,), name=f"bty-{name}", daemon=True)
        with self.changed:
            self._running += 1
        thread.start()
        return thread

    def stop(self) -> None:
        """Have each thread leave at its next look at a lane."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait for at most `seconds`; return whether all threads have ended, and raise the first failure."""
        with self.changed:
            self.changed.wait_for(lambda: not self._running or self._error is not None, seconds)
            if self._error is not None:
                raise self._error
            return not self._running

    def wait_for(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready`, called with the lock held; raise `Stopped` when the flow ends before."""
        self.changed.wait_for(lambda: self.stopped or ready())
        if self.stopped:
            raise Stopped

    def _run(self, work: Callable[[], None]) -> None:
        error: BaseException | None = None
        try:
            work()
        except Stopped:
            pass
        except BaseException as failure:  # noqa: BLE001  # raised again by wait(), in the thread that waits
            error = failure
        with self.changed:
            self._running -= 1
            if error is not None and not self.stopped:
                self._error = error
                self.stopped = True
            self.changed.notify_all()


class Lane(Generic[T]):
    """A queue from one thread to another, bounded by the pools that its items come from."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._items: deque[T] = deque()
        self._closed = False
        self.waited = 0.0  # seconds that the taker has spent in get()

    def put(self, item: T) -> None:
        """Add `item` at the end."""
        with self._flow.changed:
            self._items.append(item)
            self._flow.changed.notify_all()

    def close(self) -> None:
        """Say that nothing follows."""
        with self._flow.changed:
            self._closed = True
            self._flow.changed.notify_all()

    def get(self) -> T | None:
        """Take the first item, waiting for one; None after the last. Raises `Stopped`."""
        with self._flow.changed:
            began = perf_counter()
            self._flow.wait_for(lambda: bool(self._items) or self._closed)
            self.waited += perf_counter() - began
            return self._items.popleft() if self._items else None


class Chunk:
    """A piece of aligned memory on its way through the flow."""

    __slots__ = ("_holders", "_pool", "length", "memory", "offset")

    def __init__(self, pool: Pool, size: int) -> None:
        self.memory = memoryview(mmap.mmap(-1, size))
        self.length = 0
        self.offset = 0
        self._pool = pool
        self._holders = 0

    @property
    def view(self) -> memoryview:
        """The bytes in use."""
        return self.memory[: self.length]

    def hold(self, holders: int) -> None:
        """Say how many threads will release it."""
        self._holders = holders

    def release(self) -> None:
        """Let go; the last holder's release gives the memory back to its pool."""
        with self._pool.flow.changed:
            self._holders -= 1
            if not self._holders:
                self._pool.free.append(self)
                self._pool.flow.changed.notify_all()


class Pool:
    """A fixed number of chunks: the bound on the memory of a transfer."""

    def __init__(self, flow: Flow, count: int, size: int) -> None:
        self.flow = flow
        self.free = deque(Chunk(self, size) for _ in range(count))

    def take(self) -> Chunk:
        """Return a chunk that nobody holds, waiting for one. Raises `Stopped`."""
        with self.flow.changed:
            self.flow.wait_for(lambda: bool(self.free))
            return self.free.popleft()
