"""What may go wrong between this machine and its server."""

from __future__ import annotations

from bty_core.errors import ImageUnavailable, Refused


class ServerUnreachable(ImageUnavailable):
    """The server cannot be reached, or fails: worth another try."""

    code = "server-unreachable"


class ServerRefused(Refused):
    """The server understood the request and will not do it: another try changes nothing."""

    code = "server-refused"

    def __init__(
        self, message: str, *, hint: str | None = None, status: int = 400, said: str | None = None
    ) -> None:
        """Take the words of the problem; `status` is HTTP's, `said` the code that the server gave."""
        super().__init__(message, hint=hint)
        self.status = status
        self.said = said


class AttemptOver(ServerRefused):
    """The attempt has ended on the server, or a newer one has taken its place."""

    code = "attempt-over"


class TokenRefused(ServerRefused):
    """The server does not know the token of this attempt, or knows it from another address."""

    code = "token-refused"
