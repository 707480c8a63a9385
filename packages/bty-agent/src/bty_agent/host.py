"""What the programs need of the computer that they run on."""

from __future__ import annotations

import os
import threading
from typing import Protocol

from bty_agent.unattended.computer import console_name
from bty_core import proc
from bty_core.disks.find import find_disk
from bty_core.disks.lsblk import read_disks
from bty_core.disks.model import Disk
from bty_core.disks.select import Selector
from bty_core.errors import CommandFailed
from bty_core.events import Done, Emit
from bty_core.flash.engine import flash
from bty_core.flash.plan import FlashPlan, firmware
from bty_core.machine.inventory import read_inventory
from bty_core.machine.model import Firmware, Inventory


class Host(Protocol):
    """A computer, real or pretended."""

    firmware: Firmware
    can_write: bool
    console: str

    def disks(self) -> list[Disk]: ...
    def find(self, selector: Selector) -> Disk: ...
    def inventory(self) -> Inventory: ...
    def flash(self, plan: FlashPlan, emit: Emit, cancel: threading.Event) -> Done: ...
    def boot_once(self, disk: Disk, title: str) -> str: ...
    def reboot(self) -> None: ...
    def power_off(self) -> None: ...
    def shell(self) -> None: ...


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

    def flash(self, plan: FlashPlan, emit: Emit, cancel: threading.Event) -> Done:
        return flash(plan, emit, cancel)

    def boot_once(self, disk: Disk, title: str) -> str:
        raise CommandFailed(f"no boot entry for {title} on {disk.path} can be made by this version")

    def reboot(self) -> None:
        proc.run(["systemctl", "reboot"], timeout=60)

    def power_off(self) -> None:
        proc.run(["systemctl", "poweroff"], timeout=60)

    def shell(self) -> None:
        proc.run_attached([os.environ.get("SHELL") or "/bin/sh"])
