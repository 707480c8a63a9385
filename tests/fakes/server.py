"""A real web server in a thread, on 127.0.0.1, that misbehaves as it is told.

    with ImageServer(data, faults=[Fault(drop_after=1000)]) as server:
        HttpSource(server.url)

Requests for a closed range (``bytes=0-65535``) are *looks*, all other GETs of the image are
*transfers*. The first transfer meets the first of `faults`, and so on; once they are used up, each
meets `then`. Looks meet `look_faults` in the same way, and a healthy server after that.
"""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote, unquote, urlsplit

_STEP = 1 << 18
_CLOSED_RANGE = re.compile(r"bytes=\d+-\d+")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong with one request. Without arguments: nothing."""

    drop_after: int | None = None  # bytes of the body, then the connection is closed
    reset: bool = False  # with RST, where it would be FIN
    silent: bool = False  # no answer at all until the server stops
    stall_after: int | None = None  # bytes of the body, then nothing until the server stops
    extra: bytes = b""  # sent after the body
    pause: float = 0.0  # seconds after each 256 KiB of the body
    status: int | None = None  # answer this, without the image
    headers: Mapping[str, str] = field(
        default_factory=dict
    )  # added, or put in place of the right ones
    ignore_range: bool = False  # 200 and everything
    ignore_condition: bool = False  # If-Range is not looked at
    length_lie: int = 0  # added to Content-Length
    framing: Literal["length", "close", "chunked"] = "length"
    change: ImageChange | None = None  # the image becomes this one, before the answer


@dataclass(frozen=True, kw_only=True)
class ImageChange:
    """Another image in the place of the old one."""

    data: bytes
    etag: str | None
    modified: str | None = "Tue, 02 Jan 2024 00:00:00 GMT"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A request that came in."""

    method: str
    path: str  # with the query
    headers: Mapping[str, str]

    @property
    def range(self) -> str | None:
        return self.headers.get("Range")


class ImageServer:
    """Serves one image, and small files beside it, until the block is left."""

    def __init__(
        self,
        data: bytes,
        *,
        name: str = "debian.img",
        faults: Iterable[Fault] = (),
        then: Fault = Fault(),
        look_faults: Iterable[Fault] = (),
        etag: str | None = "",
        modified: str | None = "Mon, 01 Jan 2024 00:00:00 GMT",
        files: Mapping[str, bytes] | None = None,
        heads: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Make it; `with` starts it.

        `etag`: as it is sent, with quotes; empty: made from `data`; None: not sent.
        `heads`: HEAD is answered.
        """
        self.data = data
        self.name = name
        self.etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"' if etag == "" else etag
        self.modified = modified
        self.files = dict(files or {})  # beside the image, by name
        self.answers: dict[str, Fault] = {}  # to requests for another path, by path
        self.heads = heads
        self.seen: list[Seen] = []
        self.stopping = threading.Event()
        self._faults = list(faults)
        self._then = then
        self._look_faults = list(look_faults)
        self._lock = threading.Lock()
        self._tls = tls
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        if tls:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address of the image."""
        return self.url_of(self.name)

    def url_of(self, name: str) -> str:
        """The address of a file beside the image."""
        return f"{'https' if self._tls else 'http'}://{self.host}/images/{quote(name)}"

    @property
    def transfers(self) -> list[Seen]:
        """The GETs of the image that were no looks."""
        return [one for one in self.seen if self._is_image(one) and not is_look(one.range)]

    def _is_image(self, one: Seen) -> bool:
        return one.method == "GET" and unquote(urlsplit(one.path).path) == f"/images/{self.name}"

    def take(self, range_: str | None) -> Fault:
        """Return the fault that the next request for the image meets, and apply its change."""
        with self._lock:
            if is_look(range_):
                fault = self._look_faults.pop(0) if self._look_faults else Fault()
            else:
                fault = self._faults.pop(0) if self._faults else self._then
            if fault.change:
                self.data = fault.change.data
                self.etag = fault.change.etag
                self.modified = fault.change.modified
            return fault


def is_look(range_: str | None) -> bool:
    """Whether a request asks for a part with both ends named."""
    return bool(range_ and _CLOSED_RANGE.fullmatch(range_))


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # joined at the end, so that no test leaves a thread behind
    block_on_close = True
    owner: ImageServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that go away in the middle are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        owner = self.server.owner
        self._note()
        path = unquote(urlsplit(self.path).path)
        folder, _, name = path.rpartition("/")
        if self.command == "HEAD" and not owner.heads:
            self._plain(405, {"Allow": "GET"})
        elif path in owner.answers:
            fault = owner.answers[path]
            if fault.status:
                self._plain(fault.status, fault.headers)
            else:
                self._image(fault)
        elif folder == "/images" and name in owner.files:
            self._plain(200, {"Content-Type": "text/plain"}, owner.files[name])
        elif path == f"/images/{owner.name}":
            fault = Fault() if self.command == "HEAD" else owner.take(self.headers.get("Range"))
            if fault.status:
                self._plain(fault.status, fault.headers)
            else:
                self._image(fault)
        else:
            self._plain(404, {"Content-Type": "text/html"}, b"<html>not here</html>")

    def _note(self) -> None:
        seen = Seen(method=self.command, path=self.path, headers=dict(self.headers.items()))
        self.server.owner.seen.append(seen)

    def _plain(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self._head(status, {"Content-Length": str(len(body)), **headers})
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = self.headers.get("Connection", "").lower() == "close"

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Strange"
        lines = [
            f"HTTP/1.1 {status} {phrase}",
            *(f"{key}: {value}" for key, value in headers.items()),
        ]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode())

    def _image(self, fault: Fault) -> None:
        owner = self.server.owner
        if fault.silent:
            owner.stopping.wait()
            self.close_connection = True
            return
        data = memoryview(owner.data)
        headers = {"Content-Type": "application/octet-stream"}
        if owner.etag is not None:
            headers["ETag"] = owner.etag
        if owner.modified is not None:
            headers["Last-Modified"] = owner.modified
        status, first, end = self._part(fault, len(data))
        if status == 416:
            self._plain(416, {**headers, "Content-Range": f"bytes */{len(data)}", **fault.headers})
            return
        if status == 206:
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(data)}"
        if fault.framing == "length":
            headers["Content-Length"] = str(end - first + fault.length_lie)
        elif fault.framing == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        headers["Connection"] = "close"
        self.close_connection = True
        self._head(status, {**headers, **fault.headers})
        if self.command != "HEAD":
            self._body(data[first:end], fault)

    def _part(self, fault: Fault, total: int) -> tuple[int, int, int]:
        """Return the status, the first byte and the end of what is sent."""
        owner = self.server.owner
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        strong = owner.etag if owner.etag and not owner.etag.startswith("W/") else None
        stale = condition is not None and condition not in (strong, owner.modified)
        if not asked or fault.ignore_range or (stale and not fault.ignore_condition):
            return 200, 0, total
        first = int(asked[1])
        if first >= total:
            return 416, 0, 0
        return 206, first, min(total, int(asked[2]) + 1) if asked[2] else total

    def _body(self, data: memoryview, fault: Fault) -> None:
        stop = min(x for x in (fault.drop_after, fault.stall_after, len(data)) if x is not None)
        chunked = fault.framing == "chunked"
        for at in range(0, stop, _STEP):
            piece = data[at : min(at + _STEP, stop)]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), bytes(piece)) if chunked else piece)
            time.sleep(fault.pause)
        if fault.stall_after is not None:
            self.server.owner.stopping.wait()
        elif fault.drop_after is None:
            self.wfile.write(fault.extra + (b"0\r\n\r\n" if chunked else b""))
        if fault.reset:
            # A linger time of zero makes close() send RST.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
