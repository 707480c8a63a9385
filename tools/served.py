"""A folder over HTTP: what an image server has to be able to do, in one small class."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 20
ONE_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Folder(SimpleHTTPRequestHandler):
    """Files with HEAD, ETag, and one Range from a byte on."""

    protocol_version = "HTTP/1.1"
    left = 0  # bytes of this answer

    def send_head(self) -> BinaryIO | BytesIO | None:
        """Answer with the headers; return the file at the byte to start from."""
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            path = path / "index.html"
        try:
            file = path.open("rb")
        except OSError:
            self.send_error(HTTPStatus.NOT_FOUND, "no such file")
            return None
        size = os.fstat(file.fileno()).st_size
        known = f"{path.name} {os.fstat(file.fileno()).st_mtime_ns} {size}"
        etag = f'"{hashlib.sha256(known.encode()).hexdigest()[:16]}"'
        start, end = self._range(size, etag)
        if start is not None and start >= size:
            file.close()
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        self.send_response(HTTPStatus.OK if start is None else HTTPStatus.PARTIAL_CONTENT)
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.left = end - (start or 0)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Length", str(self.left))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", etag)
        self.end_headers()
        file.seek(start or 0)
        return file

    def _range(self, size: int, etag: str) -> tuple[int | None, int]:
        """Return the first byte asked for and the one after the last; None for the whole file."""
        found = ONE_RANGE.fullmatch(self.headers.get("Range", ""))
        if found is None or self.headers.get("If-Range", etag) != etag:
            return None, size
        return int(found[1]), min(int(found[2]) + 1, size) if found[2] else size

    def copyfile(self, source: BinaryIO, outputfile: BinaryIO) -> None:  # type: ignore[override]
        """Send as many bytes as the headers said."""
        try:
            while self.left and (data := source.read(min(CHUNK, self.left))):
                outputfile.write(data)
                self.left -= len(data)
        except ConnectionError:
            # Whoever only looks at the start of an image leaves early.
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent: the program that serves has the word."""


@contextmanager
def served(folder: Path, port: int = 0) -> Iterator[str]:
    """Serve `folder` on 127.0.0.1 and give the address, without a slash at its end."""
    server = ThreadingHTTPServer(("127.0.0.1", port), partial(Folder, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
