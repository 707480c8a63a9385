"""Every failure of bty that has a name.

The engine knows neither exit codes nor HTTP: `code` is for programs, the message for people, `hint` says what to do
next. A front end turns the families into its own answers, by method resolution order.
"""

from __future__ import annotations

from collections.abc import Sequence


class BtyError(Exception):
    """A failure that bty can explain: what happened, to which thing, why, and what to do now."""

    code = "error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.aftermath: str | None = None  # what state a disk is left in, where one was the target

    def __str__(self) -> str:
        return self.message


class InvalidValue(BtyError):
    """A value that a person or a program gave cannot be understood."""

    code = "invalid-value"


class NeedsRoot(BtyError):
    """The thing asked for needs root."""

    code = "needs-root"


class ProgramMissing(BtyError):
    """A program that bty calls is not installed."""

    code = "program-missing"


class CommandFailed(BtyError):
    """A program that bty called failed, ran out of time or answered nonsense."""

    code = "command-failed"


class Refused(BtyError):
    """bty could go on, and will not. Nothing was written, unless the message says how much."""

    code = "refused"


class Refusals(Refused):
    """All the reasons for which a plan must not run."""

    def __init__(self, reasons: Sequence[Refused]) -> None:
        first = reasons[0]
        message = (
            first.message if len(reasons) == 1 else "; ".join(reason.message for reason in reasons)
        )
        super().__init__(
            message, hint=next((reason.hint for reason in reasons if reason.hint), None)
        )
        self.reasons = tuple(reasons)
        self.code = first.code


class DiskNotFound(Refused):
    """No disk matches the selector."""

    code = "disk-not-found"


class DiskAmbiguous(Refused):
    """More than one disk matches the selector."""

    code = "disk-ambiguous"


class NotADisk(Refused):
    """The target is not a whole block device."""

    code = "not-a-disk"


class DiskBusy(Refused):
    """The disk is in use: mounted, claimed, or something is stacked on it."""

    code = "disk-busy"


class DiskIsRunningSystem(DiskBusy):
    """The disk carries the running system or the live medium."""

    code = "running-system"


class DiskReadOnly(Refused):
    """The disk does not take writes."""

    code = "disk-read-only"


class DiskTooSmall(Refused):
    """The image does not fit onto the disk."""

    code = "disk-too-small"


class DiskChanged(Refused):
    """The disk is no longer the one in the plan."""

    code = "disk-changed"


class SectorSizeMismatch(Refused):
    """The partition table of the image was made for another sector size than the disk's."""

    code = "sector-size"


class ImageRefused(Refused):
    """The file is no disk image, or one that bty does not write."""

    code = "image-refused"


class ImageIsTarget(Refused):
    """The image would be written onto itself."""

    code = "image-is-target"


class WindowTooLarge(Refused):
    """Decoding would need more memory than allowed."""

    code = "window-too-large"


class ImageUnavailable(BtyError):
    """The image, or the server that has it, cannot be reached or read."""

    code = "image-unavailable"


class ImageCorrupt(BtyError):
    """The image is cut short, damaged or followed by garbage."""

    code = "image-corrupt"


class DigestMismatch(ImageCorrupt):
    """The image's bytes are not those of the known digest."""

    code = "digest-mismatch"


class VerifyFailed(BtyError):
    """The disk does not hold what was written to it."""

    code = "verify-failed"


class WriteFailed(BtyError):
    """The disk refused a write, a flush or a read-back."""

    code = "write-failed"


class ProvisioningFailed(BtyError):
    """The image is on the disk, and could not be provisioned."""

    code = "provisioning-failed"


class Cancelled(BtyError):
    """Somebody asked to stop."""

    code = "cancelled"
