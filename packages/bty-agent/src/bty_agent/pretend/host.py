"""The pretended machine as a host: everything but its disks happens in words, and its disks are scratch files."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from bty_agent.host import open_shell
from bty_agent.pretend.machine import Machine, PretendedDisk
from bty_agent.pretend.target import ScratchTarget, with_content
from bty_core.disks.file_target import file_disk
from bty_core.disks.lsblk import refuse_name
from bty_core.disks.model import Disk, Kind
from bty_core.disks.select import Selector, choose
from bty_core.errors import DiskNotFound, ImageIsTarget, NotADisk, Refusals
from bty_core.events import Done, Emit
from bty_core.flash.engine import DiskAccess, flash
from bty_core.flash.plan import FlashPlan
from bty_core.images.file import FileSource
from bty_core.machine.efi import NoBootEntry, find_loader, made_sentence
from bty_core.machine.inventory import reported
from bty_core.machine.model import Firmware, Inventory
from bty_core.provisioning.flow import flash_and_provision
from bty_core.provisioning.job import Provisioner

_LIST = "list the disks again"


class Pretended:
    """A machine that exists in a file, and in the scratch files of `folder`."""

    def __init__(self, machine: Machine, folder: Path, say: Callable[[str], None]) -> None:
        """What an earlier run has left in `folder` is what is on the disks. `say` takes lines for the person."""
        self.firmware = machine.inventory.firmware
        self.can_write = machine.root
        self.console = machine.console
        self._inventory = machine.inventory
        self._folder, self._say = folder, say
        self._disks = {one.disk.path: one for one in machine.disks}
        self._looks = 0
        for path in list(self._disks):
            self._take_content(path)

    def scratch(self, disk: Disk) -> Path:
        """Return the file that takes what is written to `disk`; it is there once something was."""
        return self._folder / f"{'-'.join(disk.path.parts[2:])}.img"

    def disks(self) -> list[Disk]:
        self._look()
        return [one for one in self._known() if one.kind is not Kind.STACKED]

    def find(self, selector: Selector) -> Disk:
        if selector.file is not None:
            return file_disk(selector.file)
        self._look()
        known = self._known()
        if selector.path is None:
            return choose([one for one in known if one.kind is not Kind.STACKED], selector)
        return choose([self._at(selector.path)], selector)

    def inventory(self) -> Inventory:
        return replace(self._inventory, disks=reported(self._known()))

    def flash(
        self,
        plan: FlashPlan,
        emit: Emit,
        cancel: threading.Event,
        provisioner: Provisioner | None = None,
    ) -> Done:
        if plan.disk.kind is Kind.FILE:
            return flash_and_provision(plan, provisioner, emit, cancel)
        done = self._flash(plan, emit, cancel)
        if provisioner is not None:
            self._say(f"bty: the pretended disk would be provisioned now, with {provisioner.mode}")
        return done

    def _flash(self, plan: FlashPlan, emit: Emit, cancel: threading.Event) -> Done:
        source, scratch = plan.image.source, self.scratch(plan.disk)
        if isinstance(source, FileSource) and source.same_file(scratch):
            why = f"{source} is what {plan.disk.path} holds, and would be erased before it is read"
            raise Refusals([ImageIsTarget(why, hint="copy the image first")])
        targets: list[ScratchTarget] = []

        def opened(disk: Disk) -> ScratchTarget:
            targets.append(ScratchTarget(self._disks[disk.path], scratch))
            return targets[-1]

        access = DiskAccess(look_again=self._look_again, open=opened, settle=lambda _: None)
        try:
            return flash(plan, emit, cancel, access)
        finally:
            if any(target.gone for target in targets):
                self._disks.pop(plan.disk.path, None)
            elif any(target.touched for target in targets):
                self._take_content(plan.disk.path)

    def boot_once(self, disk: Disk, title: str) -> str:  # noqa: ARG002  # no firmware shows it
        if self.firmware is not Firmware.UEFI:
            raise NoBootEntry("the pretended machine was not started by UEFI")
        _, loader = find_loader(disk, self.scratch(disk))
        return made_sentence(disk, loader)

    def set_clock(self, to: datetime) -> None:
        self._say(f"bty: the pretended machine would set its clock to {to:%Y-%m-%d %H:%M} UTC")

    def reboot(self) -> None:
        self._say("bty: the pretended machine would reboot now")

    def power_off(self) -> None:
        self._say("bty: the pretended machine would power off now")

    def shell(self) -> None:
        open_shell()

    def _known(self) -> list[Disk]:
        return [one.disk for one in self._disks.values()]

    def _look(self) -> None:
        """Count one look at the disks, and take away those that are gone by then."""
        self._looks += 1
        for path, one in list(self._disks.items()):
            after = one.behaviour.gone_after
            if after is not None and self._looks > after:
                del self._disks[path]

    def _at(self, path: Path) -> Disk:
        """Return what is at `path`, as looking at a device of a real machine does."""
        found = self._disks.get(path)
        if found is not None:
            return found.disk
        for disk in self._known():
            if path in (part.path for part in disk.partitions):
                raise NotADisk(
                    f"{path} is a partition of {disk.path}",
                    hint=f"write {disk.path} to overwrite the whole disk",
                )
            by_path = [f"/dev/disk/by-path/{name}" for name in disk.by_path]
            if str(path) in by_path:
                return disk
        refuse_name(path, path.name)
        raise DiskNotFound(f"there is no {path}", hint=_LIST)

    def _look_again(self, planned: Disk) -> Disk:
        self._look()
        return self._at(planned.path)

    def _take_content(self, path: Path) -> None:
        """Let a disk hold what its scratch file holds."""
        one = self._disks[path]
        scratch = self.scratch(one.disk)
        if scratch.is_file():
            held: Disk = with_content(one.disk, scratch)
            self._disks[path] = PretendedDisk(disk=held, behaviour=one.behaviour)
