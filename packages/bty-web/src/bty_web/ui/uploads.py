"""A form with a file, read as it arrives: the fields at once, the file in pieces, nothing in memory or in /tmp."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, ParamSpec, Protocol, TypeVar, cast

from flask import request
from flask_wtf.csrf import CSRFError, validate_csrf
from werkzeug.http import parse_options_header

from bty_core.wire.fields import InvalidField
from bty_web.extensions import csrf
from bty_web.incoming import bytes_of_request

P = ParamSpec("P")
R = TypeVar("R")

CHUNK = 256 * 1024
MOST_FIELD = 4096  # bytes of one field, which are names and digests
MOST_HEADER = 8192
MOST_PARTS = 16
HEADER = "X-CSRFToken"


class Source(Protocol):
    """Something that gives its bytes in pieces."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes; none at the end."""


class FormUpload:
    """A ``multipart/form-data`` body: `fields` are those that stand before the file, `read` gives the file."""

    # Not werkzeug's decoder: when a piece of the body ends between the two last hyphens, it takes a part of the
    # line break before them for a byte of the file (3.1.9).

    def __init__(self, body: Source, boundary: str) -> None:
        self.fields: dict[str, str] = {}
        self.filename = ""
        self._body = body
        self._delimiter = b"\r\n--" + boundary.encode("latin-1")
        # The first delimiter may stand at the very beginning.
        self._buffer = bytearray(b"\r\n")
        self._pending = b""
        self._more = False
        self._start()

    def read(self, size: int = CHUNK, /) -> bytes:
        """Return at most `size` bytes of the file, none at its end; raise `InvalidField` for a torn body."""
        while self._more and not self._pending:
            self._advance()
        size = CHUNK if size < 0 else size
        piece, self._pending = self._pending[:size], self._pending[size:]
        return piece

    def _start(self) -> None:
        """Read up to the first byte of the file, or to the end where there is no file."""
        self._until(self._delimiter, MOST_HEADER, "form")
        for _ in range(MOST_PARTS):
            if self._last():
                return
            name, filename = self._headers()
            if filename is not None:
                self.filename, self._more = filename, True
                return
            value = self._until(self._delimiter, MOST_FIELD, name)
            self.fields[name] = value.decode("utf-8", "replace")
        raise InvalidField("form", f"the form has more than {MOST_PARTS} fields")

    def _headers(self) -> tuple[str, str | None]:
        """Return the name of a part, and the name of its file where it is one; go to its first byte."""
        found: tuple[str, str | None] = ("", None)
        for line in self._until(b"\r\n\r\n", MOST_HEADER, "form").split(b"\r\n"):
            title, _, rest = line.decode("utf-8", "replace").partition(":")
            if title.strip().lower() == "content-disposition":
                options = parse_options_header(rest.strip())[1]
                found = (options.get("name", ""), options.get("filename"))
        # A part with nothing in it may do without the empty line: then this is the delimiter's.
        self._buffer[:0] = b"\r\n"
        while len(self._buffer) < len(self._delimiter):
            self._fill()
        if not self._buffer.startswith(self._delimiter):
            del self._buffer[:2]
        return found

    def _advance(self) -> None:
        """Move what is certainly of the file from the buffer to what `read` gives."""
        at = self._buffer.find(self._delimiter)
        if at >= 0:
            self._pending = bytes(self._buffer[:at])
            del self._buffer[: at + len(self._delimiter)]
            self._last()
            self._more = False
            return
        # What may be the beginning of the delimiter waits.
        if (sure := len(self._buffer) - len(self._delimiter) + 1) > 0:
            self._pending = bytes(self._buffer[:sure])
            del self._buffer[:sure]
            return
        self._fill()

    def _last(self) -> bool:
        """Whether the delimiter that was just passed is the last one."""
        while len(self._buffer) < 2:
            self._fill()
        return self._buffer.startswith(b"--")

    def _until(self, mark: bytes, most: int, what: str) -> bytes:
        """Return what stands before `mark`, and go past it."""
        while (at := self._buffer.find(mark)) < 0 and len(self._buffer) <= most + len(mark):
            self._fill()
        if not 0 <= at <= most:
            raise InvalidField(what, f"'{what[:40]}' is too long")
        found = bytes(self._buffer[:at])
        del self._buffer[: at + len(mark)]
        return found

    def _fill(self) -> None:
        try:
            piece = self._body.read(CHUNK)
        except OSError:  # of the connection: it broke, or nothing came for minutes
            piece = b""
        if not piece:
            raise InvalidField(
                "file",
                "the upload broke off before its end",
                hint="nothing was kept; send it again",
            )
        self._buffer += piece


def streamed(view: Callable[P, R]) -> Callable[P, R]:
    """Let `view` read its body itself, and check the token itself: the usual check would read the whole body first."""
    return cast(Callable[P, R], csrf.exempt(view))


def form_upload() -> FormUpload:
    """Return the form of this request; its token must stand before the file, or be in a header.

    For views that are `streamed`. Raises `CSRFError`, and `InvalidField` for what is no such form.
    """
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data" or not 0 < len(boundary) <= 200:
        checked(request.headers.get(HEADER, ""))
        raise InvalidField(
            "file", "this is not a form with a file", hint="use the form on the page"
        )
    found = FormUpload(body(), boundary)
    checked(request.headers.get(HEADER) or found.fields.get("csrf_token", ""))
    return found


def body() -> BinaryIO:
    """Return the bytes of this request as they arrive, however many there are."""
    return bytes_of_request()


def checked(token: str) -> None:
    """Raise `CSRFError` unless `token` was made by this server for this session."""
    try:
        validate_csrf(token)
    except ValueError as error:
        raise CSRFError(str(error)) from None
