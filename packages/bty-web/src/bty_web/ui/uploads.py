"""A form with a file, read as it arrives: the fields at once, the file in pieces, nothing in memory or in /tmp."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, ParamSpec, Protocol, TypeVar, cast

from flask import request
from flask_wtf.csrf import CSRFError, validate_csrf
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from bty_core.wire.fields import InvalidField
from bty_web.extensions import csrf

P = ParamSpec("P")
R = TypeVar("R")

CHUNK = 256 * 1024
MOST_FIELD = 4096  # bytes of one field, which are names and digests
MOST_PARTS = 16
HEADER = "X-CSRFToken"


class Source(Protocol):
    """Something that gives its bytes in pieces."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes; none at the end."""


class FormUpload:
    """A ``multipart/form-data`` body: `fields` are those that stand before the file, `read` gives the file."""

    def __init__(self, body: Source, boundary: str) -> None:
        self.fields: dict[str, str] = {}
        self.filename = ""
        self._body = body
        self._decoder = MultipartDecoder(boundary.encode("latin-1"), max_parts=MOST_PARTS)
        self._pending = b""
        self._more = False
        self._start()

    def read(self, size: int = CHUNK, /) -> bytes:
        """Return at most `size` bytes of the file, none at its end; raise `InvalidField` for a torn body."""
        while not self._pending and self._more:
            event = self._event()
            if isinstance(event, Data):
                self._pending, self._more = bytes(event.data), event.more_data
        if size < 0:
            size = CHUNK
        piece, self._pending = self._pending[:size], self._pending[size:]
        return piece

    def _start(self) -> None:
        """Read up to the first byte of the file, or to the end where there is no file."""
        name, value = "", b""
        while True:
            event = self._event()
            match event:
                case File(filename=filename):
                    self.filename, self._more = filename or "", True
                    return
                case Field(name=name):
                    value = b""
                case Data(data=data, more_data=more):
                    value += bytes(data)
                    if len(value) > MOST_FIELD:
                        raise InvalidField(name, f"'{name[:40]}' is too long")
                    if not more:
                        self.fields[name] = value.decode("utf-8", "replace")
                case Epilogue():
                    return
                case _:
                    continue

    def _event(self) -> object:
        try:
            while isinstance(event := self._decoder.next_event(), NeedData):
                self._decoder.receive_data(self._body.read(CHUNK) or None)
        except ValueError:
            raise InvalidField(
                "file",
                "the upload broke off before its end",
                hint="nothing was kept; send it again",
            ) from None
        return event


def streamed(view: Callable[P, R]) -> Callable[P, R]:
    """Let `view` read its body itself, and check the token itself: the usual check would read the whole body first."""
    return cast(Callable[P, R], csrf.exempt(view))


def form_upload() -> FormUpload:
    """Return the form of this request; its token must stand before the file, or be in a header.

    For views that are `streamed`. Raises `CSRFError`, and `InvalidField` for what is no such form.
    """
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data" or not 0 < len(boundary) <= 200:
        raise InvalidField(
            "file", "this is not a form with a file", hint="use the form on the page"
        )
    request.max_content_length = None
    found = FormUpload(body(), boundary)
    checked(request.headers.get(HEADER) or found.fields.get("csrf_token", ""))
    return found


def body() -> BinaryIO:
    """Return the bytes of this request as they arrive, however many there are."""
    request.max_content_length = None
    stream: BinaryIO = request.stream  # type: ignore[assignment]
    return stream


def checked(token: str) -> None:
    """Raise `CSRFError` unless `token` was made by this server for this session."""
    try:
        validate_csrf(token)
    except ValueError as error:
        raise CSRFError(str(error)) from None
