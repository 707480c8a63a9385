"""One request over HTTP and its answer: proxies and TLS as `requests` does them, no copies."""

from __future__ import annotations

import http.client
import os
import re
import select
import socket
import threading
from dataclasses import dataclass
from typing import Self
from urllib.parse import urljoin, urlsplit

import requests

from bty_core import __version__
from bty_core.images.address import Address, HttpSettings
from bty_core.images.failures import Contradiction, LinkError, dropped, from_requests, from_status

_END_MS = (
    200  # to see that nothing follows the last byte, where the server leaves the connection open
)
_RANGE = re.compile(r"bytes (?:(\d{1,19})-(\d{1,19})|\*)/(\d{1,19}|\*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """A ``Content-Range``: which bytes of how many. None where the server does not say."""

    first: int | None
    last: int | None
    total: int | None

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """Read ``bytes 0-9/100``, ``bytes 0-9/*`` or ``bytes */100``; None for anything else."""
        found = _RANGE.fullmatch(text.strip()) if text else None
        if not found:
            return None
        first, last, total = (
            int(group) if group and group != "*" else None for group in found.groups()
        )
        if (
            first is not None
            and last is not None
            and (last < first or (total is not None and total <= last))
        ):
            return None
        return cls(first, last, total)

    def __str__(self) -> str:
        part = "*" if self.first is None else f"{self.first}-{self.last}"
        return f"bytes {part}/{'*' if self.total is None else self.total}"


class _Session(requests.Session):
    """Leaves redirects to `ask`: requests would first read the whole body that comes with one."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        return None


class Answer:
    """The head of an answer at once, its body as it comes in, on a connection of its own."""

    def __init__(
        self, session: requests.Session, response: requests.Response, settings: HttpSettings
    ) -> None:
        """Take over `session` and `response`, which nobody has read from."""
        self.status = response.status_code
        self.headers = response.headers
        self.url = response.url
        self.span = Span.parse(response.headers.get("Content-Range"))
        self._session = session
        self._response = response
        self._stall_seconds = settings.stall_seconds
        # Not `response.raw.read`: it copies each byte, loses what came before a reset, and never
        # sees bytes that follow the announced last one.
        body = response.raw._fp
        if not isinstance(body, http.client.HTTPResponse):
            raise TypeError(f"the body of an answer is a {type(body).__name__}")
        self._body = body
        # Bytes of the body still to come; None where the server does not say.
        self.left: int | None = body.length
        # Where neither is there, the end looks like a dropped link.
        self.ends_clearly = bool(body.chunked) or self.left is not None
        self._wire = _second_handle(body)
        self._wire_lock = threading.Lock()

    def read_some(self, view: memoryview) -> int:
        """Read one byte at least into `view` (not empty); 0 after the last byte of the answer."""
        if self.left == 0:
            return 0
        try:
            if self._body.chunked:
                data = self._body.read1(len(view))
                view[: len(data)] = data
                return len(data)
            count = self._body.fp.readinto1(view)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise dropped(error, stall_seconds=self._stall_seconds) from error
        if self.left is not None:
            if not count:
                raise dropped()
            self._take(count)
        return count

    def _take(self, count: int) -> None:
        assert self.left is not None
        if count > self.left:
            raise Contradiction("the server sent more bytes than it announced")
        self.left -= count
        if self.left == 0 and self._more_follows():
            raise Contradiction("the server sent more bytes than it announced")

    def _more_follows(self) -> bool:
        """Whether bytes follow the last one. The server was asked to close, so the end is near."""
        try:
            waiter = select.poll()
            waiter.register(self._body, select.POLLIN)
            return bool(waiter.poll(_END_MS) and self._body.fp.readinto1(bytearray(1)))
        except (OSError, ValueError):
            return False

    def read_all(self, limit: int) -> bytes:
        """Read the body, or its first `limit` bytes."""
        data = bytearray(limit)
        view = memoryview(data)
        got = 0
        while got < limit and (count := self.read_some(view[got:])):
            got += count
        return bytes(view[:got])

    def cut(self) -> None:
        """End a `read_some` that waits in another thread."""
        with self._wire_lock:
            if self._wire:
                try:
                    self._wire.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return  # the other side was faster

    def close(self) -> None:
        """Close the connection. No `read_some` may be under way."""
        with self._wire_lock:
            if self._wire:
                self._wire.close()
                self._wire = None
        self._response.close()
        self._session.close()


def ask(
    address: Address, settings: HttpSettings, *, url: str | None = None, headers: dict[str, str]
) -> Answer:
    """Send a GET for `address`, or for `url` that it led to; return the answer: 200, 206 or 416.

    Raises `LinkError` for everything else.
    """
    url = url or address.url
    for _ in range(settings.redirects + 1):
        answer = _send(url, address.auth_for(url), settings, headers)
        try:
            target = _redirect(answer)
            if target is None:
                _check(answer)
                return answer
        except BaseException:
            answer.close()
            raise
        answer.close()
        url = target
    raise LinkError(
        f"the server sends on more than {settings.redirects} times",
        hint="check the server's redirects",
    )


def _send(
    url: str, auth: tuple[str, str] | None, settings: HttpSettings, headers: dict[str, str]
) -> Answer:
    session = _Session()
    # "Connection: close": it serves one answer, so that its end can be checked.
    session.headers.update(
        {
            "Accept-Encoding": "identity",
            "Connection": "close",
            "User-Agent": f"bty/{__version__}",
            **headers,
        }
    )
    try:
        response = session.get(
            url,
            auth=auth,
            stream=True,
            allow_redirects=False,
            timeout=(settings.connect_seconds, settings.stall_seconds),
        )
        return Answer(session, response, settings)
    except (requests.RequestException, ValueError) as error:  # ValueError: an impossible host name
        session.close()
        raise from_requests(error, url, settings.connect_seconds, settings.stall_seconds) from error
    except BaseException:
        session.close()
        raise


def _redirect(answer: Answer) -> str | None:
    location = answer.headers.get("Location")
    if answer.status not in (301, 302, 303, 307, 308) or not location:
        return None
    try:
        # Header bytes arrive as Latin-1; servers write UTF-8.
        target = urljoin(answer.url, location.encode("latin-1", "replace").decode(errors="replace"))
        scheme, host = urlsplit(target).scheme, urlsplit(target).hostname
    except ValueError:
        target, scheme, host = "", "", None
    if scheme not in ("http", "https") or not host:
        raise LinkError(
            "the server sends on to something that is no web address",
            hint="check the server's redirects",
        )
    if scheme == "http" and urlsplit(answer.url).scheme == "https":
        hint = "give the http address itself if an open connection is what you want"
        raise LinkError(f"the server sends on from https to plain http on {host}", hint=hint)
    return target


def _check(answer: Answer) -> None:
    if answer.status not in (200, 206, 416):
        raise from_status(answer.status, answer.headers.get("Retry-After"))
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise LinkError(
            f"the server packs the file again ({encoding}), "
            "though its bytes as stored were asked for",
            hint="switch compression of answers off for images on the server",
        )


def _second_handle(body: http.client.HTTPResponse) -> socket.socket | None:
    """Return the connection under a second file descriptor, to be shut down by another thread.

    The first one belongs to the reader, who may close it at any moment.
    """
    try:
        return socket.socket(fileno=os.dup(body.fileno()))
    except (OSError, ValueError, AttributeError):
        return None  # the answer has no body, so nothing can wait for it
