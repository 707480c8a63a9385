"""An open-loop HTTP client: requests at a fixed rate, each on a connection of its own, as firmware makes them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class Tally:
    """What was measured: seconds from when a request should have been sent to its last byte."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """Return the time that `share` of the requests did not exceed, in milliseconds."""
        if not self.seconds:
            return float("nan")
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000

    def line(self, name: str) -> str:
        """Return one row of a table."""
        return (
            f"| {name} | {len(self.seconds)} | {len(self.errors)} | {self.percentile(0.5):.1f} "
            f"| {self.percentile(0.99):.1f} | {self.percentile(1.0):.1f} |"
        )


async def exchange(port: int, request: bytes) -> tuple[int, bytes]:
    """Send one request on a new connection; return status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        answer = await reader.read(-1)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), body


def get(path: str) -> bytes:
    """Return a GET request that asks for the connection to be closed."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()


def post(path: str, token: str, body: bytes) -> bytes:
    """Return a POST request with an attempt's token."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def at_rate(
    rate: float, seconds: float, send: Callable[[int], Awaitable[str | None]], tally: Tally
) -> None:
    """Call `send` `rate` times a second, whether or not earlier calls have ended; it returns an error or None."""
    start = time.perf_counter()
    running = []
    for number in range(int(rate * seconds)):
        due = start + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        running.append(asyncio.create_task(_timed(due, number, send, tally)))
    await asyncio.gather(*running)


async def _timed(
    due: float, number: int, send: Callable[[int], Awaitable[str | None]], tally: Tally
) -> None:
    try:
        error = await send(number)
    except (OSError, ValueError, IndexError) as broken:
        error = f"{type(broken).__name__}: {broken}"
    if error:
        tally.errors.append(error)
    tally.seconds.append(time.perf_counter() - due)


async def forever(every: float, once: Callable[[], Awaitable[None]]) -> None:
    """Call `once` every so many seconds until cancelled."""
    while True:
        began = time.perf_counter()
        await once()
        await asyncio.sleep(max(0.0, every - (time.perf_counter() - began)))


def spread(count: int) -> Iterator[int]:
    """Return the numbers below `count` in an order that mixes them, again and again."""
    step = 2_654_435_761 % count or 1
    at = 0
    while True:
        yield at
        at = (at + step) % count
