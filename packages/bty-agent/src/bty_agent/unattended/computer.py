"""What an unattended flash needs of the computer that it runs on."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from bty_core import proc
from bty_core.disks.find import find_disk
from bty_core.disks.model import Disk
from bty_core.disks.select import Selector
from bty_core.errors import CommandFailed
from bty_core.events import Done, Emit
from bty_core.flash.engine import flash
from bty_core.flash.plan import FlashPlan
from bty_core.machine.inventory import read_inventory
from bty_core.machine.model import Inventory


class Computer(Protocol):
    """This computer, or what stands for it in a test."""

    console: str  # where this program runs

    def find(self, selector: Selector) -> Disk:
        """Return the disk that `selector` means."""

    def inventory(self) -> Inventory:
        """Return what the computer has."""

    def flash(self, plan: FlashPlan, emit: Emit, cancel: threading.Event) -> Done:
        """Put the image onto the disk."""

    def boot_once(self, disk: Disk, title: str) -> str:
        """Let UEFI start `disk` at the next boot only; return what was made."""

    def set_clock(self, to: datetime) -> None:
        """Set the clock."""

    def reboot(self) -> None:
        """Start again."""


class ThisComputer:
    """The real one."""

    def __init__(self) -> None:
        """Look where this program runs."""
        self.console = console_name()

    def find(self, selector: Selector) -> Disk:
        return find_disk(selector)

    def inventory(self) -> Inventory:
        return read_inventory()

    def flash(self, plan: FlashPlan, emit: Emit, cancel: threading.Event) -> Done:
        return flash(plan, emit, cancel)

    def boot_once(self, disk: Disk, title: str) -> str:
        raise CommandFailed(f"no boot entry for {title} on {disk.path} can be made by this version")

    def set_clock(self, to: datetime) -> None:
        time.clock_settime(time.CLOCK_REALTIME, to.timestamp())

    def reboot(self) -> None:
        proc.run(["systemctl", "reboot"], timeout=60)


def console_name() -> str:
    """Return the terminal of this program, as a person calls it: tty1, ttyS0, pts/3."""
    for stream in (0, 2, 1):
        with suppress(OSError):
            return os.ttyname(stream).removeprefix("/dev/")
    return "a service"
