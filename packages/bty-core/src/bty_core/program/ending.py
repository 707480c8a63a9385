"""How a program ends: by itself, by a failure, or because somebody asks it to."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from types import FrameType
from typing import Protocol, TextIO

from bty_core.errors import BtyError
from bty_core.program.console import shown
from bty_core.program.exits import Exit

# Who presses Ctrl-C twice, or a service manager that sends two signals, means one thing.
_SAME_WISH_SECONDS = 1.0


class Talking(Protocol):
    """What a program says something on."""

    stderr: TextIO

    def say(self, text: str) -> None:
        """Write lines of talk; whether anybody listens changes nothing."""


def ended(
    program: str, console: Talking, work: Callable[[], Exit], failed: Callable[[BtyError], Exit]
) -> Exit:
    """Return how `work` ended: the only place where what it raises becomes words and an exit code.

    `failed` says a failure that has a name, and returns its exit code.
    """
    try:
        return work()
    except SystemExit:  # help or version, and argparse has printed it
        return Exit.DONE
    except BtyError as error:
        return failed(error)
    except KeyboardInterrupt:
        console.say(f"\n{program}: interrupted")
        return Exit.INTERRUPTED
    except Exception:  # noqa: BLE001  # a bug is shown whole, so that it can be reported
        with suppress(OSError):
            print(shown(traceback.format_exc().rstrip()), file=console.stderr, flush=True)
        console.say(f"{program}: this is a bug; please report it with the lines above")
        return Exit.BUG


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end a command as orderly as Ctrl-C does, and hear the same wish twice only once."""
    heard = -_SAME_WISH_SECONDS

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal heard
        now = monotonic()
        if now - heard >= _SAME_WISH_SECONDS:
            heard = now
            raise KeyboardInterrupt

    before = {}
    with suppress(
        ValueError
    ):  # not in the main thread: whoever runs us there has handlers of their own
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # What nohup, or a shell that runs us in the background, has switched off stays off.
            if signal.getsignal(one) is not signal.SIG_IGN:
                before[one] = signal.signal(one, interrupt)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
