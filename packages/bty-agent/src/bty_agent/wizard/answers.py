"""What a person or the program may say in a step of the wizard."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto

from bty_agent.wizard.offers import NOTHING, Offer, Setup
from bty_core.disks.model import Disk
from bty_core.events import Done
from bty_core.flash.plan import FlashPlan
from bty_core.provisioning.job import Provisioner


class Press(StrEnum):
    """An answer without more to say."""

    BACK = auto()
    LEAVE = auto()
    YES = auto()
    NO = auto()
    REFRESH = auto()
    REMOVABLE = auto()
    USE_LOCAL = auto()
    USE_SERVER = auto()
    AGAIN = auto()
    OTHER_DISK = auto()
    OTHER_IMAGE = auto()
    ANOTHER = auto()
    NOT_WAIT = auto()  # write without a turn
    REBOOT = auto()
    BOOT_ONCE = auto()
    POWER_OFF = auto()
    SHELL = auto()


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure as it is shown."""

    messages: tuple[str, ...]
    hint: str | None = None
    aftermath: str | None = None  # what state the disk is in


@dataclass(frozen=True, slots=True)
class PickImage:
    """This image."""

    image: Offer


@dataclass(frozen=True, slots=True)
class PickDisk:
    """This disk."""

    disk: Disk


@dataclass(frozen=True, slots=True)
class PickSetup:
    """This is to be set up on the disk."""

    setup: Setup


@dataclass(frozen=True, slots=True)
class Typed:
    """This text."""

    text: str


@dataclass(frozen=True, slots=True)
class Images:
    """The catalog was read. `reason`: why the server wants a person here."""

    images: tuple[Offer, ...]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class NoServer:
    """The server has no catalog to give."""

    trouble: Trouble


@dataclass(frozen=True, slots=True)
class Disks:
    """The disks were read, and what can be set up on one."""

    disks: tuple[Disk, ...]
    setups: tuple[Setup, ...] = (NOTHING,)


@dataclass(frozen=True, slots=True)
class Judged:
    """The plan can run."""

    plan: FlashPlan
    warnings: tuple[str, ...] = ()
    provisioner: Provisioner | None = None


@dataclass(frozen=True, slots=True)
class BadImage:
    """The image cannot be written."""

    trouble: Trouble


@dataclass(frozen=True, slots=True)
class BadSetup:
    """What was to be set up on the disk cannot be; nothing was written."""

    trouble: Trouble


@dataclass(frozen=True, slots=True)
class BadDisk:
    """The disk must not be written; nothing was."""

    trouble: Trouble


@dataclass(frozen=True, slots=True)
class Wrote:
    """The image is on the disk. `told`: the server knows; None where there is none."""

    done: Done
    told: bool | None = None


@dataclass(frozen=True, slots=True)
class NotWrote:
    """The flash failed or was stopped."""

    trouble: Trouble


@dataclass(frozen=True, slots=True)
class NoTurn:
    """The server cannot say whether this machine may write now."""

    trouble: Trouble


@dataclass(frozen=True, slots=True)
class Told:
    """Whether the server knows by now."""

    told: bool


@dataclass(frozen=True, slots=True)
class LocalSet:
    """The server was asked for the policy local; `trouble` where it refused."""

    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """The shell has ended."""


@dataclass(frozen=True, slots=True)
class Stayed:
    """The machine could not be restarted or switched off."""

    trouble: Trouble


Answer = (
    Press
    | PickImage
    | PickDisk
    | PickSetup
    | Typed
    | Images
    | NoServer
    | Disks
    | Judged
    | BadImage
    | BadDisk
    | BadSetup
    | Wrote
    | NotWrote
    | NoTurn
    | Told
    | LocalSet
    | Returned
    | Stayed
)
