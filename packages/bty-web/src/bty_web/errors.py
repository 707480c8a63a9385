"""The failures that only the server knows; `problems` says with which status each is answered."""

from __future__ import annotations

from collections.abc import Sequence

from bty_core.errors import BtyError, Refused
from bty_core.wire.fields import InvalidField


class InvalidRequest(InvalidField):
    """Fields of a request are missing, wrong or not known; `faults` are all of them, by name."""

    code = "invalid-request"

    def __init__(self, faults: Sequence[tuple[str, str]], *, hint: str | None = None) -> None:
        super().__init__(*faults[0], hint=hint)
        self.faults = tuple(faults)


class NotFound(BtyError):
    """There is no machine, image, attempt or file of that name."""

    code = "not-found"


class NotAllowed(BtyError):
    """Nobody said who asks, or that one may not do this."""

    code = "not-allowed"


class Forbidden(BtyError):
    """Whoever asks is known and may not do this."""

    code = "forbidden"


class Conflict(Refused):
    """The thing is not in a state in which this can be done."""

    code = "conflict"


class AttemptEnded(Conflict):
    """The attempt has ended, or another one has taken its place."""

    code = "attempt-ended"


class TooMuch(Refused):
    """More was asked for than this server gives to one client."""

    code = "too-much"


class NoRoom(BtyError):
    """The disk of the server has no room for this."""

    code = "no-room"


class BrokenSetting(BtyError):
    """A setting makes it impossible to start."""

    code = "broken-setting"


class VaultLocked(BtyError):
    """What is kept encrypted cannot be opened with the key that this server has."""

    code = "vault-locked"


class DatabaseBroken(BtyError):
    """The database cannot be reached, read or brought up to date."""

    code = "database-broken"


class BackupBroken(BtyError):
    """The backup is cut short, damaged, or no backup of bty."""

    code = "backup-broken"


class ServerRunning(Conflict):
    """A server works on this state folder."""

    code = "server-running"


class CannotListen(Refused):
    """The address or port cannot be had."""

    code = "cannot-listen"
