"""What a pretended machine is, and the names that its file has for it."""

from __future__ import annotations

from dataclasses import dataclass

from bty_core.disks.model import Disk
from bty_core.machine.model import Inventory

MACHINE = {
    "name": "What people call it; the name of the file where it is missing.",
    "note": "Anything that a reader should know. Not used.",
    "firmware": "What started it: `uefi` (default) or `bios`.",
    "vendor": "Its maker.",
    "product": "Its model.",
    "serial": "Its serial number.",
    "uuid": "Its SMBIOS UUID.",
    "cpu": "The name of its processor.",
    "memory_bytes": "Its memory. Default: 8 GiB.",
    "nics": "Its network interfaces: an array, see below. Default: none.",
    "disks": "Its disks: an array, see below. Required; `[]` is a machine without a disk.",
    "console": "The terminal that the programs run on. Default: `tty1`.",
    "command_line": "The kernel command line, with the words that start with `bty.`. Default: empty.",
    "root": "Whether the person may write to disks. Default: true.",
}
NIC = {
    "name": "As the kernel calls it, `eth0`. Required.",
    "mac": "Its address, `52:54:00:12:34:56`. Required.",
}
DISK = {
    "path": "The device, `/dev/sda`. Required, and different for each disk.",
    "size_bytes": "Its size, a multiple of the logical sector. Required; 0 is a drive without a medium.",
    "kind": "`disk` (default), `loop`, `rom`, or `stacked`, which is found by its path and in no list.",
    "transport": "`nvme`, `sata`, `sas`, `usb`, `virtio`, `mmc`, `iscsi`, `fc` or `other`."
    " Default: what the name of the device suggests, and else `sata`.",
    "model": "The maker's name for it. Default: none.",
    "serial": "The serial number. Default: none.",
    "wwn": "The World Wide Name. Default: none.",
    "logical_sector_bytes": "What a partition table counts in: 512 (default) or 4096, say.",
    "physical_sector_bytes": "What it writes at once. Default: the logical sector.",
    "removable": "Whether the kernel says that the medium can be taken out. Default: false.",
    "read_only": "Default: false.",
    "rotational": "Default: false.",
    "virtual": "Whether there is no hardware behind it. Default: false.",
    "by_path": "Its names in `/dev/disk/by-path`: an array of texts. Default: none.",
    "partition_table": "`gpt` or `dos`. Default: none.",
    "filesystem": "That of the whole disk. Default: none.",
    "label": "The label of that filesystem. Default: none.",
    "partitions": "What is on it: an array, see below. Default: none.",
    "uses": "What keeps it busy: an array, see below. Default: nothing.",
    "refusals": "As `bty disks --json` prints it. Not used: it follows from the rest.",
    "bytes_per_second": "How fast it writes and reads back. Default: as fast as the scratch file.",
    "fails_at": "The byte from which on each write fails, as on a broken disk. Default: none fails.",
    "gone_at": "The byte at whose write the disk is pulled out. Default: it stays.",
    "gone_after": "The number of looks after which the disk is gone. Default: it stays.",
}
PARTITION = {
    "size_bytes": "Its size. Required.",
    "path": "Its device. Default: after the disk's, `/dev/sda1` or `/dev/nvme0n1p1`.",
    "number": "Default: the place in the list.",
    "start_bytes": "Where it starts. Default: at 1 MiB, or where the one before it ends.",
    "type": "GPT type UUID or MBR type byte. Default: none.",
    "name": "Its name in a GPT. Default: none.",
    "filesystem": "`ext4`, `vfat`, `LVM2_member`. Default: none.",
    "label": "The label of that filesystem. Default: none.",
}
USE = {
    "what": "`mounted on /srv`, `swap`, `lvm volume vg0-root`: what the refusal says. Required.",
    "device": "The partition, or what is stacked on it. Default: the disk.",
    "running_system": "Whether this is the running system or the live medium. Default: false.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How a pretended disk behaves; None is nothing of the kind."""

    bytes_per_second: int | None = None
    fails_at: int | None = None  # byte
    gone_at: int | None = None  # byte
    gone_after: int | None = None  # looks


@dataclass(frozen=True, slots=True, kw_only=True)
class PretendedDisk:
    """A disk and how it behaves."""

    disk: Disk
    behaviour: Behaviour = Behaviour()


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """All that a file says. `inventory` has the disks that a machine reports of itself."""

    name: str
    inventory: Inventory
    disks: tuple[PretendedDisk, ...]
    console: str
    command_line: str
    root: bool
