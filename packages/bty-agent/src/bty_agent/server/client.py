"""One machine talks to its server, in the types of `bty_core.wire`."""

from __future__ import annotations

import hashlib
import http
import http.client
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests

from bty_agent import __version__
from bty_agent.server.errors import AttemptOver, ServerRefused, ServerUnreachable, TokenRefused
from bty_core.errors import BtyError, DigestMismatch, InvalidValue
from bty_core.images.address import Address
from bty_core.images.failures import from_requests
from bty_core.machine.model import Inventory
from bty_core.values import KIB, MIB, MacAddress
from bty_core.wire.fields import Fields, InvalidField
from bty_core.wire.plan import ImageOffer, Plan, Provisioning, Workflow
from bty_core.wire.reports import (
    MOST_CONSOLE,
    DoneReport,
    FailedReport,
    Opened,
    OpenRequest,
    ProgressAnswer,
    ProgressReport,
)

_MOST = 256 * KIB  # bytes of an answer
_MOST_PLAN = 8 * MIB  # three texts of provisioning, each letter escaped
_MOST_WORKFLOW = 64 * MIB
_MOST_CATALOG = 16 * MIB
_REDIRECTS = range(300, 400)
_AGAIN = (408, 425, 429)  # 4xx that say "not now"
T = TypeVar("T")


class _Session(requests.Session):
    """Follows no redirect, and does not read the body that comes with one."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        return None


class ServerClient:
    """Asks and tells one server about one machine. May be used by several threads at once.

    Each request is one connection: a server that was started again is met as it is. Redirects are
    refused, since a token must not travel to another host, and proxies of the environment are not
    used unless `proxies` is set: the boot network is a local one.
    """

    def __init__(
        self,
        base_url: str,
        mac: MacAddress,
        *,
        token: str | None = None,
        attempt: int | None = None,
        timeout: float = 10,
    ) -> None:
        """Take the server's address; nothing is asked yet. `timeout` is seconds for a whole answer.

        Raises `InvalidValue` for what is no web address.
        """
        self.base_url = _base(base_url)
        self.mac = mac
        self.token = token
        self.attempt = attempt
        self.clock_offset: timedelta | None = None  # how far the server's clock is ahead of ours
        self.proxies = False  # use those of the environment
        self._timeout = timeout

    def images(self) -> list[ImageOffer]:
        """Return the catalog."""
        answer = self._ask("GET", "/images", most=_MOST_CATALOG)
        return self._read(lambda: [ImageOffer.read(one) for one in _entries(answer)])

    def plan(self) -> Plan:
        """Return what this machine should do; with a token, as the attempt it belongs to."""
        answer = self._ask("GET", self._path("plan"), most=_MOST_PLAN)
        return self._read(lambda: Plan.from_wire(answer))

    def provisioning(self) -> Provisioning:
        """Return what is to be set up on this machine's disk. What is secret in it is given to an attempt once."""
        answer = self._ask("POST", self._path("provisioning"), {}, most=_MOST_PLAN)
        if not isinstance(answer, dict):
            raise self._nonsense("its answer is no provisioning")
        return self._read(lambda: Provisioning.read(Fields(answer)))

    def workflow(self, offer: Workflow) -> bytes:
        """Return the archive of the workflow that the plan of this attempt has; raise `DigestMismatch`."""
        data = self._send("GET", self._path("workflow"), most=_MOST_WORKFLOW)
        if hashlib.sha256(data).hexdigest() != offer.sha256:
            raise DigestMismatch(
                f"the archive of the workflow {offer.name} has another digest than the plan says",
                hint="upload the workflow to the server again",
            )
        return data

    def report(self, data: bytes) -> None:
        """Hand over what the workflow of this attempt left: a tar.gz."""
        self._send("POST", self._path("report"), data=data)

    def open_attempt(self, console: str) -> Opened:
        """Open an attempt for the person at `console`, and use its token from now on."""
        body = OpenRequest(console=console[:MOST_CONSOLE]).wire()
        answer = self._ask("POST", self._path("attempts"), body, token=None)
        opened = self._read(lambda: Opened.from_wire(answer))
        self.attempt, self.token = opened.attempt, opened.token
        return opened

    def inventory(self, report: Inventory) -> None:
        """Tell what this machine has."""
        self._tell("inventory", report.wire())

    def progress(self, report: ProgressReport) -> ProgressAnswer:
        """Give a sign of life; the answer may be to stop, or to wait."""
        answer = self._tell("progress", report.wire())
        return self._read(lambda: ProgressAnswer.from_wire(answer))

    def done(self, report: DoneReport) -> None:
        """Tell that the image is on the disk; said twice it counts once."""
        self._tell("done", report.wire())

    def failed(self, report: FailedReport) -> None:
        """Tell that this machine has given up; said twice it counts once."""
        self._tell("failed", report.wire())

    def set_local(self) -> None:
        """Have the machine boot its own disk from now on: after a finished interactive attempt."""
        self._tell("policy", {"boot_policy": "local"})

    def _path(self, what: str) -> str:
        return f"/pxe/{self.mac}/{what}"

    def _tell(self, what: str, body: dict[str, Any]) -> object:
        return self._ask("POST", self._path(what), body, token=self.token)

    def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        most: int = _MOST,
        token: str | None = "",
    ) -> object:
        """Send a request; return the JSON value of the answer."""
        said = self._send(method, path, most=most, token=token, json=body)
        try:
            value: object = json.loads(said)
        except (ValueError, RecursionError):
            value = None
        if value is None:
            raise self._nonsense("its answer is not JSON")
        return value

    def _send(
        self, method: str, path: str, *, most: int = _MOST, token: str | None = "", **content: Any
    ) -> bytes:
        """Send a request with `content`, as `json` or as `data`; return the body of a good answer."""
        token = self.token if token == "" else token
        headers = {
            "Accept": "application/json, */*;q=0.5",
            "Accept-Encoding": "identity",
            "Connection": "close",
            "User-Agent": f"bty/{__version__}",
        }
        if token:
            headers["Authorization"] = f"Bearer {token}"
        url = self.base_url + path
        with _Session() as session:
            session.trust_env = self.proxies
            try:
                with session.request(
                    method,
                    url,
                    headers=headers,
                    timeout=self._timeout,
                    allow_redirects=False,
                    stream=True,
                    **content,
                ) as answer:
                    self._note_clock(answer)
                    return self._good(answer, self._body(answer, most))
            except (requests.RequestException, ValueError) as error:
                raise self._away(error, url) from error

    def _away(self, error: Exception, url: str) -> ServerUnreachable:
        found = from_requests(error, url, self._timeout, self._timeout)
        return ServerUnreachable(
            f"the server {self.base_url} cannot be asked: {found.reason}", hint=found.hint
        )

    def _body(self, answer: requests.Response, most: int) -> bytes:
        """Return the body, of which a server that drips must not make an eternity."""
        until = time.monotonic() + self._timeout
        data = bytearray()
        body = answer.raw._fp
        assert body is not None
        try:
            while piece := body.read1(64 * KIB):
                data += piece
                if len(data) > most:
                    raise self._nonsense("its answer does not end")
                if time.monotonic() > until:
                    raise self._nonsense(f"its answer takes longer than {self._timeout:g} s")
        except (OSError, http.client.HTTPException) as error:
            raise self._nonsense("it broke off in the middle of its answer") from error
        announced = answer.headers.get("Content-Length", "")
        if announced.isdecimal() and len(data) < int(announced):
            raise self._nonsense("it broke off in the middle of its answer")
        return bytes(data)

    def _good(self, answer: requests.Response, body: bytes) -> bytes:
        status = answer.status_code
        if status in range(200, 300):
            return body
        if status in _REDIRECTS:
            raise ServerRefused(
                f"the server {self.base_url} sends on to another address",
                hint="give the address of the server itself",
                status=status,
            )
        try:
            value: object = json.loads(body)
        except (ValueError, RecursionError):
            value = None
        raise self._problem(status, value)

    def _problem(self, status: int, value: object) -> BtyError:
        told = _Problem.read(value)
        message = told.detail or f"the server answers {status} {_phrase(status)}"
        if status >= 500 or status in _AGAIN:
            return ServerUnreachable(
                f"the server {self.base_url} fails: {message}",
                hint=told.hint or "look at the server's log",
            )
        kind = {401: TokenRefused, 409: AttemptOver}.get(status, ServerRefused)
        return kind(message, hint=told.hint, status=status, said=told.code)

    def _nonsense(self, why: str) -> ServerUnreachable:
        return ServerUnreachable(
            f"the server {self.base_url} cannot be understood: {why}",
            hint="check the address, and that nothing stands between this machine and the server",
        )

    def _read(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except InvalidField as error:
            raise ServerRefused(
                f"the server {self.base_url} says what this machine does not understand:"
                f" {error.message}",
                hint="check that server and live environment are of one version",
                status=200,
            ) from error

    def _note_clock(self, answer: requests.Response) -> None:
        try:
            said = parsedate_to_datetime(answer.headers.get("Date", ""))
        except (TypeError, ValueError):
            return
        said = said.replace(tzinfo=said.tzinfo or UTC)
        self.clock_offset = said - datetime.now(UTC)


class _Problem:
    """What an RFC 9457 problem says, as far as it says it."""

    def __init__(self, given: Fields) -> None:
        def text(name: str) -> str | None:
            try:
                return given.text(name, most=2000)
            except InvalidField:
                return None

        self.detail, self.hint, self.code = text("detail"), text("hint"), text("code")

    @classmethod
    def read(cls, value: object) -> _Problem:
        return cls(Fields(value if isinstance(value, dict) else {}))


def _base(text: str) -> str:
    address = Address.parse(text)
    parts = urlsplit(address.url)
    if parts.query or address.auth:
        raise InvalidValue(
            f"'{address.url}' is not the address of a bty server",
            hint="write it like http://10.0.0.1:8080",
        )
    return address.url.rstrip("/")


def _entries(answer: object) -> list[Fields]:
    return Fields({"images": answer}).many("images", most=100_000)


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""
