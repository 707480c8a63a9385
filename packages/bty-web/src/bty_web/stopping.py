"""Whether this process is about to end. Event streams wait on it between two looks, so that they end at once."""

from __future__ import annotations

import threading

STOPPING = threading.Event()
