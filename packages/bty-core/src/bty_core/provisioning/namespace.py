"""Mounts that nobody else sees, and that are gone when the process is, however it ended."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from time import monotonic, sleep
from typing import Generic, TypeVar

from bty_core.errors import Cancelled, NeedsRoot
from bty_core.provisioning.kernel import leave_mounts, mount, unmount

# A folder that a private mount covers; it stays empty for everybody else.
MOUNT_POINT = Path("/run/bty/rootfs")
_PATIENCE = 10.0  # seconds
T = TypeVar("T")


def with_private_mounts(work: Callable[[], T], cancel: Flag) -> T:
    """Return what `work` returns, or raise what it raises, in a thread with mounts of its own.

    An interrupt sets `cancel` and waits until `work` has unmounted what it mounted. A process that is killed
    leaves no mount: the kernel takes them back with the thread.
    """
    run = _Run(work)
    interrupted = False
    run.thread.start()
    # Not join(): in Python 3.11 an interrupt makes it believe that the thread has ended.
    while not run.ended.is_set():
        try:
            run.ended.wait()
        except KeyboardInterrupt:
            interrupted = True
            cancel.set()
    if interrupted and isinstance(run.error, Cancelled):
        run.error = Cancelled("interrupted")
    if run.error is not None:
        raise run.error
    return run.results[0]


class _Run(Generic[T]):
    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self.results: list[T] = []
        self.error: BaseException | None = None
        self.ended = Flag()
        self.thread = Thread(target=self._run, name="bty-provision", daemon=True)

    def _run(self) -> None:
        try:
            try:
                leave_mounts()
            except PermissionError:
                raise NeedsRoot(
                    "provisioning mounts the disk's filesystem, and needs root",
                    hint="run it again with sudo",
                ) from None
            self.results.append(self._work())
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that waits
            self.error = error
        finally:
            self.ended.set()


@contextmanager
def mounted(device: Path, filesystem: str, flags: int, options: str) -> Iterator[Path]:
    """Mount `device` for the block, in the mounts of this thread; raise `OSError` where that cannot be.

    On return it is unmounted, and all that was written is on the device.
    """
    MOUNT_POINT.mkdir(parents=True, exist_ok=True)
    mount(device, MOUNT_POINT, filesystem, flags, options)
    try:
        yield MOUNT_POINT
    except BaseException:
        with suppress(OSError):  # the kernel does it when the thread ends
            unmount(MOUNT_POINT)
        raise
    unmount(MOUNT_POINT)
    _wait_until_free(device)


def _wait_until_free(device: Path) -> None:
    """Wait until nobody has the filesystem any more: what a program mounted along with it may go a little later."""
    until = monotonic() + _PATIENCE
    while True:
        try:
            os.close(os.open(device, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
        except OSError as error:
            if error.errno != errno.EBUSY or monotonic() > until:
                raise
            sleep(0.02)
        else:
            return
