"""An image behind a URL: looked at by small ranges, and read as one stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from typing import TypeVar
from urllib.parse import quote, unquote, urlsplit

from bty_core.errors import ImageUnavailable, InvalidValue
from bty_core.images.address import Address, HttpSettings
from bty_core.images.exchange import ask
from bty_core.images.failures import Contradiction, LinkError, dropped
from bty_core.images.http_stream import HttpStream
from bty_core.images.remote import Remote, Version, expect
from bty_core.images.source import OnRetry
from bty_core.values import KIB, MIB

_LOOK = 64 * KIB  # what the first look fetches; enough to tell each format
_PATIENT = HttpSettings()
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Look:
    version: Version
    ranges: bool  # the server gives parts
    start: bytes


class HttpSource:
    """A file on a web server. The first look remembers its version; any other one is an error."""

    def __init__(self, url: str, *, settings: HttpSettings = _PATIENT) -> None:
        """Take `url`, with user and password or without; nothing is asked yet.

        Raises `InvalidValue` where it cannot name a file.
        """
        self._file = Remote(Address.parse(url), settings)
        self._name = unquote(urlsplit(str(self._file)).path).rpartition("/")[2]
        if not self._name or "\0" in self._name:
            hint = "write the address of the file itself"
            raise InvalidValue(f"'{self}' names a folder, not an image", hint=hint)
        self._seen: _Look | None = None
        self._looking = threading.Lock()

    @property
    def name(self) -> str:
        return self._name

    @property
    def remote(self) -> bool:
        return True

    @property
    def size(self) -> int | None:
        return self._look().version.total

    def __str__(self) -> str:
        return str(self._file)

    def read_at(self, offset: int, length: int) -> bytes | None:
        look = self._look()
        total = look.version.total
        end = offset + length if total is None else min(offset + length, total)
        if end <= len(look.start) or len(look.start) < _LOOK:
            return look.start[offset:end]
        if offset >= end:
            return b""
        if not look.ranges:
            return None
        return self._briefly(lambda: self._part(look.version, offset, end))

    def beside(self, name: str) -> bytes | None:
        """Return the file `name` of the same folder.

        None for 4xx, for a page of HTML and for more than 1 MiB. Raises `ImageUnavailable` where
        the server fails, since nobody knows then whether there is one.
        """
        address = self._file.address
        parts = urlsplit(address.url)
        path = f"{parts.path.rpartition('/')[0]}/{quote(name)}"
        sibling = replace(address, url=parts._replace(path=path).geturl())
        return self._briefly(lambda: self._small(sibling), of=sibling.url)

    def open(self, on_retry: OnRetry) -> HttpStream:
        """Start from the first byte; the server has answered when this returns."""
        return HttpStream(self._file, self._seen.version if self._seen else None, on_retry)

    def _look(self) -> _Look:
        with self._looking:
            if self._seen is None:
                self._seen = self._briefly(self._first_look)
            return self._seen

    def _first_look(self) -> _Look:
        with closing(self._file.ask(None, {"Range": f"bytes=0-{_LOOK - 1}"})) as answer:
            version = Version.of(answer)
            if answer.status == 416:  # of an empty file no part can be given
                if version.total != 0:
                    raise Contradiction("the server refuses to send the first bytes")
                return _Look(version, True, b"")
            if answer.status == 206:
                expect(answer, 0, None if version.total is None else min(_LOOK, version.total))
            start = answer.read_all(_LOOK)
            if len(start) < _LOOK:
                version = replace(version, total=len(start))
            return _Look(version, answer.status == 206, start)

    def _part(self, version: Version, offset: int, end: int) -> bytes | None:
        with closing(self._file.ask(version, {"Range": f"bytes={offset}-{end - 1}"})) as answer:
            if version.contradicts(Version.of(answer)):
                raise self._file.changed(0, None)
            if answer.status == 416 and version.total is None:
                return b""
            span = answer.span
            if answer.status != 206 or span is None or span.first != offset or span.last is None:
                return None
            if span.last + 1 != (end if span.total is None else min(end, span.total)):
                return None
            data = answer.read_all(end - offset)
            if len(data) != span.last + 1 - offset:
                raise dropped()
            return data

    def _small(self, sibling: Address) -> bytes | None:
        try:
            answer = ask(sibling, self._file.settings, headers={})
        except LinkError as error:
            if error.status and not error.again:
                return None
            raise
        with closing(answer):
            if answer.status != 200 or answer.headers.get("Content-Type", "").lower().startswith(
                "text/html"
            ):
                return None
            if answer.left is not None and answer.left > MIB:
                return None
            text = answer.read_all(MIB + 1)
        page = text[:64].lstrip().lower().startswith((b"<!doctype", b"<html"))
        return None if page or len(text) > MIB else text

    def _briefly(self, action: Callable[[], T], of: str = "") -> T:
        """Do a small thing, again where that may help; failures speak of `of`, or of the image."""
        for failures in count(1):
            try:
                return action()
            except Contradiction as error:
                raise self._file.contradicted(error) from error
            except LinkError as error:
                if not error.again or failures >= self._file.settings.look_tries:
                    raise ImageUnavailable(
                        f"{of or self} cannot be read: {error.reason}", hint=error.hint
                    ) from error
                time.sleep(self._file.settings.wait(failures, error.pause))
        raise AssertionError("unreachable")
