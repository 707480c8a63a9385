"""The queue of jobs: huey, on a file in the state folder or on Redis. A message is a number; the row is the job."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from huey import Huey, SqliteHuey
from huey.registry import Message
from huey.serializer import Serializer

from bty_web.errors import BrokenSetting
from bty_web.settings import Settings

NAME = "bty"
SECONDS = 5.0  # after which a Redis that does not answer counts as away
_log = logging.getLogger(__name__)


class _Words(Serializer):  # type: ignore[misc] # huey has no types
    """Messages as JSON: huey's own form, pickle, would run what somebody else puts into the queue."""

    def _serialize(self, data: Any) -> bytes:
        (number,) = data.args
        return json.dumps({"id": data.id, "name": data.name, "job": number}).encode()

    def _deserialize(self, data: bytes) -> Any:
        found = json.loads(bytes(data))
        return Message(id=str(found["id"]), name=str(found["name"]), args=(int(found["job"]),))


def _nothing(_number: int) -> None:
    raise RuntimeError("this process does no jobs")


class Queue:
    """One queue, and what a worker does with a job's number."""

    def __init__(self, huey: Huey) -> None:
        self.huey = huey
        self.perform: Callable[[int], None] = _nothing
        self._task: Any = huey.task(name="job")(self._run)

    def _run(self, number: int) -> None:
        self.perform(number)

    def put(self, number: int) -> None:
        """Let some worker do the job."""
        self._task(number)
        if self.perform is _nothing:  # whoever only asks now and then keeps no connection
            self.huey.storage.close()


def queue_of(settings: Settings) -> Queue:
    """Return this process's queue for `settings`; raise `BrokenSetting` where Redis has no client."""
    return _queue(str(settings.state_dir / "queue.db"), settings.queue_url)


_SHAPE: dict[str, Any] = {"results": False, "serializer": _Words()}


@lru_cache(maxsize=8)
def _queue(file: str, url: str) -> Queue:
    if not url:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        return Queue(SqliteHuey(NAME, filename=file, fsync=False, **_SHAPE))
    try:
        from huey import RedisHuey
        from redis import ConnectionPool

        pool = ConnectionPool.from_url(url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS)
        return Queue(RedisHuey(NAME, connection_pool=pool, **_SHAPE))
    except (ImportError, ValueError) as error:
        raise BrokenSetting(
            f"the queue on Redis cannot be used: {error}",
            hint="install bty-web[redis], and check BTY_QUEUE_URL",
        ) from error


def enqueue(settings: Settings, numbers: Iterable[int]) -> None:
    """Queue jobs whose rows are committed. A queue that is away is no failure: the clock asks again."""
    for number in numbers:
        try:
            queue_of(settings).put(number)
        except Exception as error:  # noqa: BLE001 - each kind of queue has failures of its own
            _log.warning("job %s could not be queued and waits: %s", number, error)
            return
