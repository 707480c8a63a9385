"""A server that takes a network environment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests

from bty_core.errors import BtyError, InvalidValue
from bty_core.images.address import Address
from bty_core.images.failures import from_requests
from bty_core.wire.fields import Fields, InvalidField
from bty_media import __version__
from bty_media.errors import BuildDamaged, NotInstalled, ServerAway
from bty_media.live_tar import LiveTar

_CONNECT = 10.0  # seconds
_SILENCE = 300.0  # seconds: when it has all of the files it reads, compares and syncs them
_PATH = "/api/v1/live"
_TOKEN_HINT = "make one on the server: bty-web token LABEL --scope admin"


class Server:
    """One bty-web, asked with a token."""

    def __init__(self, url: str, token: str) -> None:
        """Take its address; nothing is asked yet. Raises `InvalidValue`."""
        self.url = _base(url)
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise InvalidValue("this is no token", hint=_TOKEN_HINT)
        self._token = token

    def look(self) -> list[str]:
        """Return the versions that it has; raise what keeps it from taking another one.

        Asked before hundreds of megabytes are sent, which a server that refuses them does not read.
        """
        with self._asked("GET") as answer:
            found = self._understood(answer)
            versions = found.get("versions", [])
            return [str(one) for one in versions] if isinstance(versions, list) else []

    def install(self, tar: LiveTar) -> str:
        """Send the files, and return the version that machines get from now on."""
        with self._asked("PUT", tar) as answer:
            return str(self._understood(answer).get("version", ""))

    @contextmanager
    def _asked(self, method: str, tar: LiveTar | None = None) -> Iterator[requests.Response]:
        headers = {
            "Accept": "application/json",
            "User-Agent": f"bty-media/{__version__}",
        }
        if tar is not None:
            headers["Content-Type"] = "application/x-tar"
        url = self.url + _PATH
        try:
            with requests.Session() as session:
                yield session.request(
                    method,
                    url,
                    data=tar,
                    headers=headers,
                    auth=self._with_token,
                    timeout=(_CONNECT, _SILENCE),
                    allow_redirects=False,
                )
        except requests.RequestException as error:
            why = from_requests(error, url, _CONNECT, _SILENCE)
            raise ServerAway(
                f"the server {self.url} cannot be reached: {why.reason}", hint=why.hint
            ) from error

    def _with_token(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token, which a .netrc must not replace."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _understood(self, answer: requests.Response) -> dict[str, Any]:
        status = answer.status_code
        try:
            value = json.loads(answer.content)
        except (ValueError, RecursionError):
            value = None
        if status == HTTPStatus.OK and isinstance(value, dict):
            return value
        if 300 <= status < 400:
            raise NotInstalled(
                f"the server {self.url} sends on to {answer.headers.get('Location', 'nowhere')[:200]}",
                hint="give that address, if it is the server's own",
            )
        raise self._problem(status, value if isinstance(value, dict) else {})

    def _problem(self, status: int, value: dict[str, Any]) -> BtyError:
        detail, hint, code = (_text(value, name) for name in ("detail", "hint", "code"))
        if detail is None:
            return ServerAway(
                f"{self.url} is no bty-web: it answers {status}", hint="check the address"
            )
        match status:
            case 401:
                message = f"the server {self.url} does not know this token"
                return NotInstalled(message, hint=_TOKEN_HINT)
            case 403:
                message = f"this token may not install a network environment on {self.url}"
                return NotInstalled(message, hint=_TOKEN_HINT)
            case 422 if code == "image-corrupt":
                return BuildDamaged(f"{self.url} refuses what it got: {detail}", hint=hint)
            case 507:
                return NotInstalled(f"the server {self.url} is full: {detail}", hint=hint)
            case _ if status >= 500:
                return ServerAway(f"the server {self.url} fails: {detail}", hint=hint)
            case _:
                return NotInstalled(f"{self.url} does not take it: {detail}", hint=hint)


def _text(value: dict[str, Any], name: str) -> str | None:
    try:
        return Fields(value).text(name, most=2000)
    except InvalidField:
        return None


def _base(text: str) -> str:
    address = Address.parse(text)
    if urlsplit(address.url).query or address.auth:
        raise InvalidValue(
            f"'{address.url}' is not the address of a bty server",
            hint="write it like http://10.0.0.1:8080",
        )
    return address.url.rstrip("/")
