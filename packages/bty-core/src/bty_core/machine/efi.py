"""Letting UEFI start a freshly written disk once: a boot entry and BootNext, and never the boot order.

A firmware whose BootOrder was rewritten by a flasher no longer starts from the network: a machine in a rack is lost.
"""

from __future__ import annotations

import platform
import re

from bty_core import proc
from bty_core.disks.model import Disk, Kind
from bty_core.errors import CommandFailed, ProgramMissing, Refused
from bty_core.images.table import ESP, MBR_ESP, TABLE_BYTES, ImageTable, TablePartition, read_table

LABEL = "bty: "  # and the name of the image: what a person sees in the menu of the firmware
_LONGEST_LABEL = 60  # characters
_SECONDS = 30
_ENTRY = re.compile(r"^Boot([0-9A-F]{4})[* ] (.*)$", re.MULTILINE)
_ORDER = re.compile(r"^BootOrder: (.*)$", re.MULTILINE)
_SUFFIX = {"x86_64": "x64", "aarch64": "aa64", "i686": "ia32", "riscv64": "riscv64"}
# What a distribution's own folder starts with, the one that checks signatures first.
_LOADERS = ("shim{}.efi", "systemd-boot{}.efi", "grub{}.efi")


class NoBootEntry(Refused):
    """No boot entry can be made here for this disk or image."""

    code = "no-boot-entry"


def entry_refusals(disk: Disk, table: ImageTable | None, firmware: str | None) -> list[Refused]:
    """Return every reason why no boot entry could be made after a flash; nothing is changed.

    `table` is the image's, `firmware` is "uefi" or "bios": what started this machine.
    """
    found: list[Refused] = []
    if disk.kind is Kind.FILE:
        found.append(
            NoBootEntry(f"{disk.path} is a regular file: no firmware starts it", hint=_WITHOUT)
        )
    elif firmware != "uefi":
        found.append(NoBootEntry("this machine was not started by UEFI", hint=_WITHOUT))
    if table is None or not table.boots_uefi:
        found.append(NoBootEntry("the image has no EFI system partition", hint=_WITHOUT))
    return found


_WITHOUT = "flash it without the boot entry"


def boot_once(disk: Disk, title: str) -> str:
    """Have the firmware start `disk` at the next boot, and only then; return what was done, as a sentence.

    `title` is shown in the menu of the firmware. Entries that earlier flashes left are removed. The boot order is as it
    was in any case. Raises `NoBootEntry`, `ProgramMissing` or `CommandFailed`.
    """
    partition = _system_partition(disk)
    loader = _loader(disk, partition)
    before = _said()
    old = _entries(before)
    part = ("--part", str(partition.number))
    label = ("--label", _label(title))
    _tell("--create-only", "--disk", str(disk.path), *part, *label, "--loader", loader)
    made = [number for number in _entries(_said()) if number not in old]
    if len(made) != 1:
        raise CommandFailed("the firmware did not keep the boot entry", hint=_BY_HAND)
    _tell("--bootnext", made[0])
    for number in old:
        if number not in _order(before):  # where it is, removing it would change the order
            _tell("--bootnum", number, "--delete-bootnum")
    after = _said()
    if f"BootNext: {made[0]}" not in after.splitlines():
        raise CommandFailed("the firmware did not keep BootNext", hint=_BY_HAND)
    if _order(after) != _order(before):
        raise CommandFailed(
            f"the firmware has changed its boot order from {','.join(_order(before))}"
            f" to {','.join(_order(after))}",
            hint="look at the boot order in the setup of the firmware",
        )
    return f"the next boot starts {disk.path} ({loader}), once; the boot order stays as it was"


_BY_HAND = "choose the disk in the boot menu of the firmware"


def _label(title: str) -> str:
    plain = "".join(
        letter if letter.isascii() and letter.isprintable() else "?" for letter in title
    )
    return f"{LABEL}{plain}"[:_LONGEST_LABEL].rstrip()


def _tell(*words: str) -> None:
    proc.run(["efibootmgr", "--quiet", *words], timeout=_SECONDS)


def _said() -> str:
    return proc.run(["efibootmgr"], timeout=_SECONDS)


def _entries(said: str) -> list[str]:
    """Return the numbers of the entries that are ours."""
    return [number for number, text in _ENTRY.findall(said) if text.startswith(LABEL)]


def _order(said: str) -> list[str]:
    found = _ORDER.search(said)
    return found[1].strip().split(",") if found else []


def _system_partition(disk: Disk) -> TablePartition:
    try:
        with disk.path.open("rb") as device:
            table = read_table(device.read(TABLE_BYTES))
    except OSError as error:
        raise CommandFailed(f"{disk.path} cannot be read: {error.strerror}") from error
    found = [one for one in table.partitions if one.type in (ESP, MBR_ESP)] if table else []
    if not found:
        raise NoBootEntry(f"{disk.path} has no EFI system partition", hint=_WITHOUT)
    return found[0]


def _loader(disk: Disk, partition: TablePartition) -> str:
    """Return the program that the firmware is to start: the one for any machine, or else a distribution's own."""
    suffix = _SUFFIX.get(platform.machine(), "x64")
    usual = rf"\EFI\BOOT\BOOT{suffix.upper()}.EFI"
    try:
        listed = proc.run(
            ["mdir", "-/", "-b", "-i", f"{disk.path}@@{partition.start}", "::/EFI"],
            timeout=_SECONDS,
        )
    except (ProgramMissing, CommandFailed):
        return usual  # where nobody can look, what the specification says
    files = {
        line.strip().removeprefix("::").replace("/", "\\").casefold(): line
        for line in listed.splitlines()
    }
    if usual.casefold() in files:
        return usual
    for loader in _LOADERS:
        name = loader.format(suffix)
        for known, line in sorted(files.items()):
            if known.endswith(f"\\{name}"):
                return line.strip().removeprefix("::").replace("/", "\\")
    raise NoBootEntry(f"on {disk.path} there is no boot loader for UEFI", hint=_WITHOUT)
