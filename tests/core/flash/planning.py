"""Plans for tests: an image file or address, a disk, and the options that differ."""

from __future__ import annotations

from pathlib import Path

from bty_core.disks.find import find_disk
from bty_core.disks.select import Selector
from bty_core.events import Done, Event
from bty_core.flash.engine import flash
from bty_core.flash.plan import FlashOptions, FlashPlan
from bty_core.images.digest import KnownDigest
from bty_core.images.inspect import inspect
from bty_core.images.locate import locate
from bty_core.values import Digest


def plan(
    image: Path | str, disk: Path | str, *, sha256: str | None = None, **options: object
) -> FlashPlan:
    """Return a plan as the command line would make it."""
    return FlashPlan(
        image=inspect(locate(str(image))),
        disk=find_disk(Selector.parse(str(disk))),
        digest=KnownDigest(Digest(sha256), "--sha256") if sha256 else None,
        options=FlashOptions(**options),  # type: ignore[arg-type]  # the tests' own keywords
    )


def run(image: Path | str, disk: Path | str, **options: object) -> tuple[Done, list[Event]]:
    """Plan and flash at once; return the last event and all of them."""
    events: list[Event] = []
    done = flash(plan(image, disk, **options), events.append)  # type: ignore[arg-type]  # see plan()
    return done, events


def start_of(disk: Path, length: int) -> bytes:
    """Return the first bytes of a disk, as another program would see them now."""
    with disk.open("rb") as file:
        return file.read(length)


def is_dead(disk: Path) -> bool:
    """Return whether nothing on the disk looks like a partition table: its first and last MiB hold zeros only."""
    with disk.open("rb") as file:
        head = file.read(2**20)
        file.seek(-(2**20), 2)
        return not any(head) and not any(file.read())
