"""Disk images with real filesystems in them, and what is in those afterwards."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from bty_core.events import Event
from bty_core.flash.plan import FlashPlan
from bty_core.provisioning.cloud_init import CloudInit
from bty_core.provisioning.flow import flash_and_provision
from bty_core.provisioning.seed import Seed
from tests.core.flash.planning import plan
from tests.fakes.images import MIB

SIZES = {"ext4": 32 * MIB, "xfs": 320 * MIB, "btrfs": 128 * MIB, "vfat": 16 * MIB}
MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
    "vfat": ["mkfs.vfat", "-n"],
}
# What makes it a root filesystem with cloud-init.
CLOUD = "mkdir -p etc/cloud etc/cloud/cloud.cfg.d usr/lib var/lib/cloud/seed; echo ID=test >usr/lib/os-release"
USER_DATA = b"#cloud-config\nhostname: seeded\n"
ROOT_AT = 2 * MIB


def make_image(
    path: Path,
    filesystem: str = "ext4",
    script: str = CLOUD,
    *,
    label: str = "gpt",
    kind: str = "linux",
    more: tuple[str, ...] = (),
) -> Path:
    """Make a disk with one partition, made by `script` in its root, and `more` lines for sfdisk behind it."""
    size = SIZES[filesystem]
    with path.open("wb") as file:
        file.truncate(ROOT_AT + size + (2 + 16 * len(more)) * MIB)
    table = f"label: {label}\nstart={ROOT_AT // 512}, size={size // 512}, type={kind}\n"
    run("sfdisk", "--quiet", path, stdin=table + "".join(f"{line}\n" for line in more))
    model = path.with_suffix(".fs")
    with model.open("wb") as file:
        file.truncate(size)
    run(*MAKE[filesystem], model)
    run(
        "dd",
        "status=none",
        f"if={model}",
        f"of={path}",
        "conv=notrunc,sparse",
        "bs=1M",
        f"seek={ROOT_AT // MIB}",
    )
    model.unlink()
    inside(path, script)
    return path


def inside(disk: Path, script: str, *, at: int = ROOT_AT, options: str = "") -> str:
    """Run a shell script in the root of the filesystem at `at` bytes of a disk, mounted where nobody sees it."""
    how = f"loop,offset={at}" + (f",{options}" if options else "")
    # A loop device that a killed program had goes a moment later.
    mount = (
        f"n=0; until mount -o {how} {disk} /mnt; do [ $n -lt 20 ]; n=$((n + 1)); sleep 0.2; done"
    )
    words = f"set -e; {mount}; cd /mnt; {script}\ncd /; umount /mnt"
    return run("unshare", "--mount", "sh", "-c", words)


def run(*argv: str | Path, stdin: str = "") -> str:
    """Run a program; its standard output."""
    ran = subprocess.run(list(map(str, argv)), input=stdin, text=True, capture_output=True)
    assert ran.returncode == 0, f"{argv}: {ran.stderr}"
    return ran.stdout


def flash_seeded(
    image: Path, disk: Path | str, seed: Seed | None = None
) -> tuple[str, list[Event]]:
    """Flash and seed; what the last event says was set up, and all events."""
    events: list[Event] = []
    wanted = CloudInit(seed or Seed.of(USER_DATA))
    done = flash_and_provision(plan(image, disk), wanted, events.append)
    assert done.provisioned is not None
    return done.provisioned, events


def planned(image: Path, disk: Path | str) -> FlashPlan:
    """Return a plan."""
    return plan(image, disk)


def partitions(disk: Path) -> list[dict[str, int | str]]:
    """Return what sfdisk says of the partitions."""
    table = json.loads(run("sfdisk", "--json", disk))["partitiontable"]
    found: list[dict[str, int | str]] = table["partitions"]
    return found


def cidata(disk: Path, at: int) -> dict[str, str]:
    """Return the files of the FAT at `at` bytes of a disk, by name, as mtools reads them."""
    place = f"{disk}@@{at}"
    names = run("mdir", "-b", "-i", place, "::").split()
    return {name.removeprefix("::/"): run("mtype", "-i", place, name) for name in names}


def left_behind(disk: Path) -> list[str]:
    """Return the loop devices that are over a disk, and the mounts of provisioning that everybody sees."""
    listed = run("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE").splitlines()
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    return [line for line in listed if line.split()[1:] == [str(disk)]] + [
        line for line in mounts if "/run/bty" in line
    ]
