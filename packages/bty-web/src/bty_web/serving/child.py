"""A process that lives no longer than the one that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

from bty_core.errors import BtyError
from bty_web.serving.logs import redacted

_PR_SET_PDEATHSIG = 1
_FAILED = 1


def die_with(parent: int, number: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel send `number` to this process when `parent`, which started it, ends in whatever way."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os.kill(os.getpid(), number)


class Child:
    """A forked process that runs one function. Its exit code is what the function returns."""

    def __init__(self, work: Callable[[], int]) -> None:
        """Start it. Nothing that cannot be shared between processes may be open: no database, no thread."""
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        self.status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            self._be(work, parent)

    def _be(self, work: Callable[[], int], parent: int) -> None:
        code = _FAILED
        try:
            # A Ctrl-C reaches the supervisor alone, which ends the others in its own time.
            os.setpgid(0, 0)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            die_with(parent)
            code = work()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else _FAILED
        except BtyError as error:
            sys.stderr.write(redacted(f"bty-web: {error.message}\n"))
            if error.hint:
                sys.stderr.write(redacted(f"hint: {error.hint}\n"))
        except BaseException:  # noqa: BLE001  # the process ends here whatever it was
            traceback.print_exc()
        finally:
            with suppress(Exception):
                sys.stderr.flush()
            os._exit(code)

    def ended(self) -> bool:
        """Whether it has ended; then `status` says how: its exit code, or the negative number of a signal."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if not self.ended():
            os.kill(self.pid, number)
