"""What the programs need of the computer that they run on."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from bty_core import proc
from bty_core.disks.find import find_disk
from bty_core.disks.lsblk import read_disks
from bty_core.disks.model import Disk
from bty_core.disks.select import Selector
from bty_core.events import Done, Emit
from bty_core.flash.plan import FlashPlan, firmware
from bty_core.machine import efi
from bty_core.machine.inventory import read_inventory
from bty_core.machine.model import Firmware, Inventory
from bty_core.provisioning.flow import flash_and_provision
from bty_core.provisioning.job import Provisioner


class Host(Protocol):
    """A computer, real or pretended."""

    firmware: Firmware
    can_write: bool
    console: str  # where this program runs

    def disks(self) -> list[Disk]:
        """Return all block devices that may be targets, and those that may not."""

    def find(self, selector: Selector) -> Disk:
        """Return the disk that `selector` means."""

    def inventory(self) -> Inventory:
        """Return what the computer is and has."""

    def flash(
        self,
        plan: FlashPlan,
        emit: Emit,
        cancel: threading.Event,
        provisioner: Provisioner | None = None,
    ) -> Done:
        """Put the image onto the disk, and provision it."""

    def boot_once(self, disk: Disk, title: str) -> str:
        """Let UEFI start `disk` at the next boot only; return what was made, as a sentence."""

    def set_clock(self, to: datetime) -> None:
        """Set the clock; raise `OSError` where that is not allowed."""

    def reboot(self) -> None:
        """Start again."""

    def power_off(self) -> None:
        """Stop."""

    def shell(self) -> None:
        """Let the person work in a shell until they leave it."""


class ThisComputer:
    """The real one."""

    def __init__(self) -> None:
        """Look at what never changes."""
        self.firmware = Firmware(firmware())
        self.can_write = os.geteuid() == 0
        self.console = console_name()

    def disks(self) -> list[Disk]:
        return read_disks()

    def find(self, selector: Selector) -> Disk:
        return find_disk(selector)

    def inventory(self) -> Inventory:
        return read_inventory()

    def flash(
        self,
        plan: FlashPlan,
        emit: Emit,
        cancel: threading.Event,
        provisioner: Provisioner | None = None,
    ) -> Done:
        return flash_and_provision(plan, provisioner, emit, cancel)

    def boot_once(self, disk: Disk, title: str) -> str:
        return efi.boot_once(disk, title)

    def set_clock(self, to: datetime) -> None:
        time.clock_settime(time.CLOCK_REALTIME, to.timestamp())

    def reboot(self) -> None:
        proc.run(["systemctl", "reboot"], timeout=60)

    def power_off(self) -> None:
        proc.run(["systemctl", "poweroff"], timeout=60)

    def shell(self) -> None:
        open_shell()


def open_shell() -> None:
    """Let the person work in their shell until they leave it."""
    proc.run_attached([os.environ.get("SHELL") or "/bin/sh"])


def console_name() -> str:
    """Return the terminal of this program, as a person calls it: tty1, ttyS0, pts/3."""
    for stream in (0, 2, 1):
        with suppress(OSError):
            return os.ttyname(stream).removeprefix("/dev/")
    return "a service"
