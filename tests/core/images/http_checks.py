"""What the tests of HTTP sources share."""

from __future__ import annotations

import random
import threading
import time

import pytest

from bty_core.errors import BtyError, Cancelled
from bty_core.events import Retrying
from bty_core.images.address import HttpSettings
from bty_core.images.http import HttpSource
from bty_core.images.source import Source, Stream
from tests.fakes.server import ImageServer

DATA = random.Random(2).randbytes(200_003)

OTHER = random.Random(3).randbytes(200_003)

FAST = HttpSettings(connect_seconds=2, stall_seconds=0.3, tries=4, look_tries=2, waits=(0.01,))

OLD_FILE = "start again: what was read so far is of the old file"

LIAR = "start again, and if it stays like this look at the server and at proxies on the way"

NETWORK = "check the network and the server"

RUNS = "check the address, and that the server runs"

DROPPED = "the connection was dropped"


class Retries(list[Retrying]):
    """What a stream said of the breaks that it mended."""

    @property
    def reasons(self) -> list[str]:
        return [one.reason for one in self]


def source_of(server: ImageServer) -> HttpSource:
    return HttpSource(server.url, settings=FAST)


def drain(stream: Stream, size: int = 4096) -> bytes:
    view = memoryview(bytearray(size))
    found = bytearray()
    try:
        while got := stream.readinto(view):
            found += view[:got]
    finally:
        stream.close()
    return bytes(found)


def fetch(source: Source, size: int = 4096) -> tuple[bytes, Retries]:
    retries = Retries()
    return drain(source.open(retries.append), size), retries


def check_failure(
    server: ImageServer, kind: type[BtyError], message: str, hint: str | None
) -> Retries:
    """Read all of the image, which must fail in exactly these words."""
    retries = Retries()
    with pytest.raises(kind) as caught:
        drain(source_of(server).open(retries.append))
    assert type(caught.value) is kind
    assert str(caught.value) == message.format(url=server.url, host=server.host)
    assert caught.value.hint == hint
    return retries


PATIENT = HttpSettings(stall_seconds=30, waits=(30.0,))


def check_close(server: ImageServer, after: int) -> None:
    """Close from another thread while `readinto` waits for more than the first `after` bytes."""
    stream = HttpSource(server.url, settings=PATIENT).open(lambda _: None)
    view = memoryview(bytearray(1 << 20))
    caught: list[BaseException] = []
    read = 0
    while read < after:
        read += stream.readinto(view[: after - read])

    def wait() -> None:
        try:
            stream.readinto(view)
        except Cancelled as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.2)
    started = time.monotonic()
    stream.close()
    thread.join(5)
    assert time.monotonic() - started < 1
    assert [str(error) for error in caught] == [f"reading {server.url} was stopped"]
