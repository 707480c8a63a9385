"""What time it is. Rules take `now` as an argument; this is where it comes from."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def change_stamp() -> int:
    """Return the microseconds since 1970, as `changed` columns keep them."""
    return time.time_ns() // 1000
