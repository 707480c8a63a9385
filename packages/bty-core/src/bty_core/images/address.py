"""The address of an image on a web server, and how patiently the server is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

from bty_core.errors import InvalidValue


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """How patient bty is with servers."""

    connect_seconds: float = 10.0
    stall_seconds: float = 30.0  # without a byte
    tries: int = 6  # of a stream, in a row without a byte of progress
    look_tries: int = 3  # of a look at the image
    waits: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds, before each further try
    pause_seconds: float = 30.0  # the longest wait that a server may ask for
    redirects: int = 10

    def wait(self, failures: int, pause: float | None = None) -> float:
        """Return the seconds to wait after so many failures in a row.

        `pause` is what the server asks for.
        """
        wait = self.waits[min(failures, len(self.waits)) - 1] if self.waits else 0.0
        return max(wait, min(pause or 0.0, self.pause_seconds))


@dataclass(frozen=True, slots=True)
class Address:
    """A URL taken apart, with the password kept away from what is shown."""

    url: str  # without user, password and fragment
    auth: tuple[str, str] | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an ``http://`` or ``https://`` URL; raise `InvalidValue` for anything else."""
        hint = "write it like http://server/images/debian.img.zst"
        try:
            parts = urlsplit(text)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise InvalidValue("an address cannot be understood", hint=hint) from error
        shown = without_password(parts)
        if parts.scheme not in ("http", "https") or not host or not text.isprintable():
            raise InvalidValue(f"'{shown}' is not the address of a file on a web server", hint=hint)
        auth = None
        if parts.username is not None:
            auth = (unquote(parts.username), unquote(parts.password or ""))
        return cls(shown, auth)

    def auth_for(self, url: str) -> tuple[str, str] | None:
        """Return user and password where `url` is on the same server; others never get them."""
        return self.auth if _origin(url) == _origin(self.url) else None


def without_password(parts: SplitResult) -> str:
    """Return the URL without user, password and fragment."""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()


def _origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
