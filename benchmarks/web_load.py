"""An open-loop HTTP client: requests at a fixed rate, each on a connection of its own, as firmware makes them."""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

PATIENCE = 30.0  # seconds that answers may come late


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


def at_rate(port: int, rate: float, seconds: float, paths: Iterator[str], begins: bytes) -> Tally:
    """Ask for `paths` `rate` times a second, whether or not earlier answers have come.

    Plain sockets and one epoll: the client shares its cores with the server, and is to take little
    of them. An answer must be a 200 whose body begins with `begins`.
    """
    tally = Tally()
    poll = select.epoll()
    waiting: dict[int, tuple[socket.socket, float, list[bytes]]] = {}
    start = time.perf_counter()
    sent, count = 0, int(rate * seconds)
    while sent < count or waiting:
        now = time.perf_counter()
        while sent < count and start + sent / rate <= now:
            one = socket.create_connection(("127.0.0.1", port))
            one.sendall(get(next(paths)))
            one.setblocking(False)
            waiting[one.fileno()] = (one, start + sent / rate, [])
            poll.register(one, select.EPOLLIN)
            sent += 1
        pause = max(0.0, start + sent / rate - time.perf_counter()) if sent < count else 1.0
        for number, _ in poll.poll(pause):
            one, due, parts = waiting[number]
            try:
                data = one.recv(1 << 16)
            except OSError as error:
                tally.errors.append(str(error))
                data = b""
            if data:
                parts.append(data)
                continue
            tally.seconds.append(time.perf_counter() - due)
            answer = b"".join(parts)
            if not answer.startswith(b"HTTP/1.1 200 ") or b"\r\n\r\n" + begins not in answer:
                tally.errors.append(repr(answer[:200]))
            poll.unregister(one)
            one.close()
            del waiting[number]
        if time.perf_counter() - start > seconds + PATIENCE:
            tally.errors += [f"no answer within {PATIENCE:.0f} s"] * len(waiting)
            break
    poll.close()
    return tally


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
