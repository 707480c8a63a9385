"""The helper of the login, answering in a thread of the test."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bty_web.appliance.login import Login
from bty_web.services import appliance

DELAY = 0.4


@contextmanager
def answering(
    folder: Path, accepts: Callable[[str, str], bool], asking: frozenset[int] | None = None
) -> Iterator[threading.Thread]:
    """A helper that answers in `folder`, and ends soon after the last question."""
    asking = frozenset({os.geteuid()}) if asking is None else asking
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / appliance.LOGIN))
        listening.listen(8)
        login = Login(listening, accepts, asking=asking, delay=DELAY, idle=2.0)
        thread = threading.Thread(target=login.serve)
        thread.start()
        yield thread
        thread.join()
    (folder / appliance.LOGIN).unlink()
