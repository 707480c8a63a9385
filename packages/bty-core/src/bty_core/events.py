"""What a flash tells its watchers: one vocabulary, many renderers.

Each event means one thing and has exactly its fields. `wire()` is the form of the ndjson stream and of reports.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened during a flash."""

    event: ClassVar[str]

    def wire(self) -> dict[str, Any]:
        """Return the event as JSON values; ``event`` names its kind."""
        return {"event": self.event, **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Event):
    """The disk was opened for this image alone; from here on the old content of the disk goes."""

    event: ClassVar[str] = "started"
    image: str
    disk: str
    remote: bool  # the image comes over the network
    source_total_bytes: int | None  # bytes of the image as stored
    total_bytes: int | None  # bytes of the image on the disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(Event):
    """How far the write is. The seconds are what each stage has worked, not waited, since the start."""

    event: ClassVar[str] = "progress"
    source_bytes: int  # read from the source: for the download rate
    disk_bytes: int  # of the image, on the disk by now, skipped zeros included: for the bar
    total_bytes: int | None
    source_seconds: float
    decode_seconds: float
    disk_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying(Event):
    """The source broke off; the stream goes on from the same byte after a pause."""

    event: ClassVar[str] = "retrying"
    reason: str
    source_bytes: int
    attempt: int
    wait_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifying(Event):
    """How far the read-back is; the parts that are written last are not in it."""

    event: ClassVar[str] = "verifying"
    disk_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced(Event):
    """All of the image, its head included, is on the disk and flushed out of every cache."""

    event: ClassVar[str] = "synced"
    disk_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioning(Event):
    """The image is on the disk and verified; something is set up in it."""

    event: ClassVar[str] = "provisioning"
    mode: str  # as --provision names it
    doing: str  # what happens now, for people
    step: int | None  # of a workflow, from 1
    steps: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Event):
    """The disk holds the image, and is provisioned where that was asked for."""

    event: ClassVar[str] = "done"
    bytes_written: int
    bytes_skipped: int  # zeros that the device made itself
    seconds: float
    sha256: str | None  # of the image as stored; None where nothing asked for it
    verified: bool  # the disk was read back
    table_read: bool  # the kernel has read the new partition table
    provisioned: str | None = None  # what was set up, for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Event):
    """The flash failed; the disk does not boot, unless nothing was written."""

    event: ClassVar[str] = "failed"
    code: str
    message: str
    hint: str | None


Emit = Callable[[Event], None]


def nowhere(event: Event) -> None:
    """Drop the event."""
