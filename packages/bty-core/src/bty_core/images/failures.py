"""What went wrong between here and a server, in plain words."""

from __future__ import annotations

import errno
import http
import http.client
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import requests

_CLOCK = (
    "check the clock of this machine and the certificate; "
    "REQUESTS_CA_BUNDLE names a file with own authorities"
)
_CABLE = "check the cable and the network settings of this machine"
_RUNS = "check the address, and that the server runs"
_HINTS = {
    401: "put user and password into the address, as in https://user:password@server/image",
    403: "check on the server who may read this file",
    404: "check the address",
    407: "put user and password into the address of the proxy, in HTTP_PROXY or HTTPS_PROXY",
    410: "check the address",
    429: "wait a little, then start again",
}


class LinkError(Exception):
    """A request failed, or its answer broke off. The source makes a sentence with a name of it."""

    def __init__(
        self,
        reason: str,
        *,
        hint: str | None = None,
        again: bool = False,
        status: int | None = None,
        pause: float | None = None,
    ) -> None:
        """Say why, and what to do.

        `again`: another try may help; `status`: what the server answered; `pause`: seconds that
        the server asks to wait.
        """
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.again = again
        self.status = status
        self.pause = pause


class Contradiction(Exception):
    """What the server sends does not agree with what it said."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def dropped(error: BaseException | None = None, *, stall_seconds: float = 0) -> LinkError:
    """Return the failure of a body that broke off with `error`, or ended too early."""
    if isinstance(error, TimeoutError):
        return LinkError(f"nothing came for {stall_seconds:g} seconds", hint=_RUNS, again=True)
    return LinkError(
        "the connection was dropped", hint="check the network and the server", again=True
    )


def from_status(status: int, retry_after: str | None) -> LinkError:
    """Return the failure that an HTTP status other than success means."""
    try:
        said = f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        said = str(status)
    again = status == 429 or status >= 500
    hint = _HINTS.get(status, "look into the log of the server" if again else "check the address")
    pause = _pause(retry_after) if again and retry_after else None
    return LinkError(
        f"the server answered {said}", hint=hint, again=again, status=status, pause=pause
    )


def from_requests(
    error: Exception, url: str, connect_seconds: float, stall_seconds: float
) -> LinkError:
    """Return the failure that `error` of `requests` means; its own text never gets out."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    where = f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    causes = list(_causes(error))
    tls = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
    if tls:
        return _tls(tls, host, where)
    if isinstance(error, requests.exceptions.ProxyError):
        hint = "check HTTP_PROXY, HTTPS_PROXY and NO_PROXY"
        return LinkError(
            f"the proxy on the way to {host} does not let this through", hint=hint, again=True
        )
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return LinkError(
            f"{where} took no connection within {connect_seconds:g} seconds", hint=_RUNS, again=True
        )
    if isinstance(error, requests.exceptions.ReadTimeout):
        return dropped(TimeoutError(), stall_seconds=stall_seconds)
    found = (_from_system(cause, host, where) for cause in causes)
    return next(
        filter(None, found), LinkError(f"the request failed ({type(error).__name__})", hint=_RUNS)
    )


def _from_system(cause: BaseException, host: str, where: str) -> LinkError | None:
    match cause:
        case socket.gaierror():
            hint = "check the address, and the name server of this network"
            return LinkError(f"the name {host} is not known here", hint=hint, again=True)
        case ConnectionRefusedError():
            return LinkError(f"{where} refused the connection", hint=_RUNS, again=True)
        case ConnectionError():
            return dropped(cause)
        case http.client.HTTPException():
            return LinkError(f"what {where} answered is not HTTP", hint=_RUNS)
        case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
            return LinkError(f"there is no way to {where}", hint=_CABLE, again=True)
        case requests.exceptions.InvalidURL() | UnicodeError():
            return LinkError("the address is not a valid one", hint="check the address")
        case _:
            return None


def _tls(error: ssl.SSLError, host: str, where: str) -> LinkError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return LinkError(
            f"the certificate of {host} was not accepted: {error.verify_message}", hint=_CLOCK
        )
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return dropped(error)
    why = (error.reason or "unknown").replace("_", " ").lower()
    hint = "check that https is spoken on this port"
    return LinkError(f"{where} made no encrypted connection: {why}", hint=hint)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and what is inside of it: libraries wrap failures several times."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]


def _pause(retry_after: str) -> float | None:
    if retry_after.isascii() and retry_after.strip().isdigit():
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
