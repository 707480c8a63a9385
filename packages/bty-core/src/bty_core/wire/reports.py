"""What a machine tells the server about an attempt: the bodies of the POST routes below ``/pxe/{mac}``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from bty_core.disks.model import Disk, Transport
from bty_core.errors import InvalidValue
from bty_core.values import MacAddress
from bty_core.wire.fields import Fields, InvalidField

MOST_DISKS = 256
MOST_NICS = 64
MOST_LOG = 64 * 1024  # characters of a failed attempt's log
MOST_NAME = 255  # characters of an image's name
MOST_CONSOLE = 80  # characters
TURN_SECONDS = 90  # without a report, after which a turn to write lapses


class ReportedPhase(StrEnum):
    """Where the machine says it is. The first word of an attempt's life is the server's."""

    WAITING = "waiting"  # in the wizard; gives up a place in the queue, or a turn
    QUEUED = "queued"  # about to write: asks for its turn
    WRITING = "writing"
    RETRYING = "retrying"
    VERIFYING = "verifying"
    FINISHING = "finishing"
    PROVISIONING = "provisioning"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRequest:
    """The body of ``POST /pxe/{mac}/attempts``; none at all is fine too."""

    console: str | None = None  # where the person is: "tty1", "ttyS0", "ssh from 192.0.2.7"

    def wire(self) -> dict[str, Any]:
        """Return the request as JSON values."""
        return {"console": self.console[:MOST_CONSOLE] if self.console else None}

    @classmethod
    def from_wire(cls, message: object) -> Self:
        """Read the request; raise `InvalidField` for what is wrong."""
        return cls(console=_console(Fields(message)))


def _console(given: Fields) -> str | None:
    return given.optional(lambda name: given.text(name, most=MOST_CONSOLE), "console")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The answer of ``POST /pxe/{mac}/attempts``."""

    attempt: int
    token: str

    def wire(self) -> dict[str, Any]:
        """Return the answer as JSON values."""
        return {"attempt": self.attempt, "token": self.token}

    @classmethod
    def from_wire(cls, message: object) -> Self:
        """Read the answer; raise `InvalidField` for what is missing or wrong."""
        given = Fields(message)
        return cls(attempt=given.integer("attempt"), token=given.text("token"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskReport:
    """One disk of a machine, as its inventory names it: what selectors are compared with."""

    path: Path
    size: int  # bytes
    serial: str | None
    wwn: str | None
    model: str | None
    transport: Transport
    removable: bool
    by_path: tuple[str, ...] = ()  # no part of the message

    @property
    def named_only(self) -> bool:
        """Whether only a selector that names this disk may match it."""
        return self.removable or self.transport is Transport.USB

    @classmethod
    def of(cls, disk: Disk) -> Self:
        """Return what is told of `disk`."""
        return cls(
            path=disk.path,
            size=disk.size,
            serial=disk.serial,
            wwn=disk.wwn,
            model=disk.model,
            transport=disk.transport,
            removable=disk.removable,
        )

    @classmethod
    def read(cls, given: Fields) -> Self:
        """Read one entry; raise `InvalidField` for what is missing or wrong."""
        return cls(
            path=Path(given.text("path")),
            size=given.integer("size_bytes"),
            serial=given.optional(given.text, "serial"),
            wwn=given.optional(given.text, "wwn"),
            model=given.optional(given.text, "model"),
            transport=given.optional(
                lambda name: given.choice(name, Transport), "transport", Transport.OTHER
            ),
            removable=given.optional(given.boolean, "removable", False),
        )

    def wire(self) -> dict[str, Any]:
        """Return the entry as JSON values."""
        return {
            "path": str(self.path),
            "size_bytes": self.size,
            "serial": self.serial,
            "wwn": self.wwn,
            "model": self.model,
            "transport": self.transport.value,
            "removable": self.removable,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NicReport:
    """One network interface of a machine."""

    name: str
    mac: MacAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryReport:
    """What a machine has. Only `disks` and `nics` must be there."""

    disks: tuple[DiskReport, ...]
    nics: tuple[NicReport, ...]
    cpu: str | None
    memory_bytes: int | None
    firmware: str | None
    vendor: str | None
    product: str | None
    serial: str | None
    uuid: str | None

    @classmethod
    def from_wire(cls, message: object) -> Self:
        """Read ``POST /pxe/{mac}/inventory``; raise `InvalidField` for what is missing or wrong."""
        given = Fields(message)

        def text(name: str) -> str | None:
            return given.optional(given.text, name)

        return cls(
            disks=tuple(DiskReport.read(disk) for disk in given.many("disks", most=MOST_DISKS)),
            nics=tuple(_nic(nic) for nic in given.many("nics", most=MOST_NICS)),
            cpu=text("cpu"),
            memory_bytes=given.optional(given.integer, "memory_bytes"),
            firmware=text("firmware"),
            vendor=text("vendor"),
            product=text("product"),
            serial=text("serial"),
            uuid=text("uuid"),
        )

    def wire(self) -> dict[str, Any]:
        """Return the report as JSON values; nothing is in them that was not understood."""
        return {
            "disks": [disk.wire() for disk in self.disks],
            "nics": [{"name": nic.name, "mac": str(nic.mac)} for nic in self.nics],
            "cpu": self.cpu,
            "memory_bytes": self.memory_bytes,
            "firmware": self.firmware,
            "vendor": self.vendor,
            "product": self.product,
            "serial": self.serial,
            "uuid": self.uuid,
        }


def _nic(given: Fields) -> NicReport:
    try:
        return NicReport(name=given.text("name"), mac=MacAddress.parse(given.text("mac")))
    except InvalidField:
        raise
    except InvalidValue as error:
        raise InvalidField(given.name("mac"), error.message, hint=error.hint) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressReport:
    """How far an attempt is. Sizes are bytes; `total_bytes` is None while nobody can know.

    `image`, `disk` and `console` say what a person has chosen where; leaving one out changes nothing.

    Whoever is about to write asks for its turn with `QUEUED`, again and again as the answers say,
    and begins when one has no `queue_position`. The turn is held until the attempt ends or says
    `WAITING`; it lapses after `TURN_SECONDS` without a report. Who has begun to write by then goes
    on, and is counted again; who has not gets its old place in the queue. First asked, first served.
    """

    phase: ReportedPhase
    source_bytes: int = 0
    disk_bytes: int = 0
    total_bytes: int | None = None
    try_number: int | None = None  # which try this is, after a failure that is tried again
    bottleneck: str | None = None  # a word of bty_core.flash.fold.Bottleneck
    image: str | None = None  # its name
    disk: DiskReport | None = None
    console: str | None = None

    def wire(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "phase": self.phase.value,
            "source_bytes": self.source_bytes,
            "disk_bytes": self.disk_bytes,
            "total_bytes": self.total_bytes,
            "try": self.try_number,
            "bottleneck": self.bottleneck,
            "image": self.image[-MOST_NAME:] if self.image else None,
            "disk": self.disk.wire() if self.disk else None,
            "console": self.console[:MOST_CONSOLE] if self.console else None,
        }

    @classmethod
    def from_wire(cls, message: object) -> Self:
        """Read ``POST /pxe/{mac}/progress``; raise `InvalidField` for what is missing or wrong."""
        given = Fields(message)
        disk = given.optional(given.fields, "disk")
        return cls(
            phase=given.choice("phase", ReportedPhase),
            source_bytes=given.optional(given.integer, "source_bytes", 0),
            disk_bytes=given.optional(given.integer, "disk_bytes", 0),
            total_bytes=given.optional(given.integer, "total_bytes"),
            try_number=given.optional(given.integer, "try"),
            bottleneck=given.optional(lambda name: given.text(name, most=20), "bottleneck"),
            image=given.optional(lambda name: given.text(name, most=MOST_NAME), "image"),
            disk=DiskReport.read(disk) if disk else None,
            console=_console(given),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressAnswer:
    """What the server says to a report: stop, wait for a turn, or go on. Stop counts first."""

    cancel: bool = False
    queue_position: int | None = None  # 1 is next; None: it is your turn
    ask_again_seconds: int | None = None  # when to ask again; there with a position

    def wire(self) -> dict[str, Any]:
        """Return the answer as JSON values."""
        return {
            "cancel": self.cancel,
            "queue_position": self.queue_position,
            "ask_again_seconds": self.ask_again_seconds,
        }

    @classmethod
    def from_wire(cls, message: object) -> Self:
        """Read the answer; raise `InvalidField` for what is missing or wrong."""
        given = Fields(message)
        return cls(
            cancel=given.optional(given.boolean, "cancel", False),
            queue_position=given.optional(given.integer, "queue_position"),
            ask_again_seconds=given.optional(given.integer, "ask_again_seconds"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneReport:
    """An attempt that ended well."""

    image: str
    disk: str
    bytes_written: int
    seconds: float

    def wire(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "image": self.image,
            "disk": self.disk,
            "bytes_written": self.bytes_written,
            "seconds": self.seconds,
        }

    @classmethod
    def from_wire(cls, message: object) -> Self:
        """Read ``POST /pxe/{mac}/done``; raise `InvalidField` for what is missing or wrong."""
        given = Fields(message)
        return cls(
            image=given.text("image", most=4096),
            disk=given.text("disk"),
            bytes_written=given.integer("bytes_written"),
            seconds=given.number("seconds"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedReport:
    """An attempt that the machine has given up."""

    code: str
    message: str
    hint: str | None = None
    log: str | None = None

    def wire(self) -> dict[str, Any]:
        """Return the report as JSON values; of a long log, its end."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "log": self.log[-MOST_LOG:] if self.log else None,
        }

    @classmethod
    def from_wire(cls, message: object) -> Self:
        """Read ``POST /pxe/{mac}/failed``; raise `InvalidField` for what is missing or wrong."""
        given = Fields(message)
        return cls(
            code=re.sub(r"[^a-z0-9-]", "-", given.text("code", most=40).lower()),
            message=given.text("message", most=2000),
            hint=given.optional(lambda name: given.text(name, most=2000), "hint"),
            log=given.optional(lambda name: given.text(name, most=MOST_LOG), "log"),
        )
