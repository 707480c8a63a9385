"""Files through a real `bty-web serve`: by sendfile, from the right byte, and never more than was opened."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from bty_web import database
from bty_web.models import Image
from bty_web.models.words import ImageState
from bty_web.services import catalog
from bty_web.settings import Settings
from tests.web.serving.server import Server, serving, wait_until
from tests.web.site import NOW

MIB = 1 << 20
CONTENT = Random(1).randbytes(3 * MIB + 12345)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)

# Python reads this file in each process that starts: the server's own call of the kernel is noted.
NOTING = """
import os
call = os.sendfile

def sendfile(out, file, offset, count, *more):
    sent = call(out, file, offset, count, *more)
    with open(os.environ["TEST_SENT"], "a") as notes:
        notes.write(f"{offset} {sent}\\n")
    return sent

os.sendfile = sendfile
"""


@dataclass
class Files:
    """A server with one image, and what it asked the kernel to send."""

    server: Server
    settings: Settings
    sent: Path
    session: requests.Session

    def ask(
        self, range_: str | None, method: str = "GET", path: str = "a.img"
    ) -> requests.Response:
        """Fetch on a connection that is kept; a body that came after HEAD would spoil the next answer."""
        headers = {"Accept-Encoding": "identity"} | ({"Range": range_} if range_ else {})
        url = f"{self.server.url}/images/{path}"
        return self.session.request(method, url, headers=headers, timeout=60)

    def kernel(self, expected: int = 0) -> tuple[int | None, int]:
        """Return what sendfile was asked for since the last look: its first byte, and how many went.

        The client may have `expected` bytes before the server has noted them.
        """
        wait_until(lambda: sum(count for _, count in self._notes()) >= expected, 5)
        notes = self._notes()
        self.sent.write_text("")
        return (notes[0][0] if notes else None), sum(count for _, count in notes)

    def _notes(self) -> list[tuple[int, int]]:
        lines = [line.split() for line in self.sent.read_text().splitlines()]
        return [(int(line[0]), int(line[1])) for line in lines]


def add(made: Settings, name: str, digest: str | None = None) -> None:
    """Put a file that is there into the catalog, as the scan does."""
    state = (made.image_root / name).stat()
    engine = database.make_engine(made)
    with database.working(engine) as session:
        session.add(
            Image(
                name=name,
                state=ImageState.READY if digest else ImageState.MEASURING,
                size_bytes=state.st_size,
                stamp=catalog.stamp(state),
                format="raw",
                sha256=digest,
                warnings=[],
                added_at=NOW,
            )
        )
    engine.dispose()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Files]:
    folder = tmp_path_factory.mktemp("files")
    made = Settings(state_dir=folder / "state")
    made.image_root.mkdir(parents=True)
    made.state_dir.chmod(0o700)
    (made.image_root / "a.img").write_bytes(CONTENT)
    (made.image_root / "empty.img").write_bytes(b"")
    (folder / "code").mkdir()
    (folder / "code/sitecustomize.py").write_text(NOTING)
    sent = folder / "sent"
    sent.write_text("")
    path = os.pathsep.join([str(folder / "code"), os.environ.get("PYTHONPATH", "")])
    with (
        # SENDFILE would tell gunicorn not to: whoever starts bty-web does not decide this.
        serving(folder, PYTHONPATH=path, TEST_SENT=str(sent), SENDFILE="no") as server,
        requests.Session() as session,
    ):
        add(made, "a.img", DIGEST)
        add(made, "empty.img")
        yield Files(server, made, sent, session)
        code, err, _ = server.end(signal.SIGTERM)
        assert (code, "Traceback" in err) == (0, False), err


def test_the_whole_file_is_sent_by_the_kernel(files: Files) -> None:
    files.kernel()
    answer = files.ask(None)
    assert (answer.status_code, answer.content == CONTENT) == (200, True)
    assert answer.headers["ETag"] == f'"{DIGEST}"'
    assert answer.headers["Content-Length"] == str(SIZE)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Transfer-Encoding" not in answer.headers
    assert files.kernel(SIZE) == (0, SIZE)


def test_a_part_is_sent_by_the_kernel_from_its_first_byte_on(files: Files) -> None:
    files.kernel()
    for first, last in ((0, 0), (1, MIB), (2 * MIB + 7, SIZE - 1)):
        answer = files.ask(f"bytes={first}-{last}")
        assert (answer.status_code, answer.content == CONTENT[first : last + 1]) == (206, True)
        count = last + 1 - first
        assert files.kernel(count) == (first, count)


def test_nothing_is_sent_where_nothing_is_wanted(files: Files) -> None:
    files.kernel()
    assert files.ask(None, "HEAD").headers["Content-Length"] == str(SIZE)
    assert files.ask(f"bytes={SIZE}-").status_code == 416
    url = f"{files.server.url}/images/a.img"
    answer = files.session.get(url, headers={"If-None-Match": f'"{DIGEST}"'})
    assert (answer.status_code, answer.content) == (304, b"")
    empty = files.ask(None, path="empty.img")
    assert (empty.status_code, empty.content, empty.headers["Content-Length"]) == (200, b"", "0")
    assert files.ask("bytes=0-", path="empty.img").status_code == 416
    assert files.kernel() == (None, 0)


edges = st.sampled_from(
    [0, 1, 8191, 8192, MIB - 1, MIB, SIZE - 2, SIZE - 1, SIZE, SIZE + 1, 1 << 70]
)
position = edges | st.integers(0, SIZE + 1000)


@settings(max_examples=120, deadline=None)
@given(
    first=st.none() | position,
    last=st.none() | position,
    method=st.sampled_from(["GET", "GET", "GET", "HEAD"]),
)
def test_a_part_is_what_a_slice_is(
    files: Files, first: int | None, last: int | None, method: str
) -> None:
    said = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    answer = files.ask(said, method)
    if first is None:
        part = None if not last else CONTENT[-min(last, SIZE) :]  # "-" and "-0" mean nothing
    elif last is not None and last < first:
        part = None
    else:
        part = CONTENT[first : None if last is None else last + 1]
        if not part:
            assert answer.status_code == 416
            assert answer.headers["Content-Range"] == f"bytes */{SIZE}"
            return
    assert answer.status_code == (200 if part is None else 206)
    whole = CONTENT if part is None else part
    assert answer.headers["Content-Length"] == str(len(whole))
    assert answer.content == (whole if method == "GET" else b"")
    if part is not None:
        begin = first if first is not None else SIZE - len(part)
        assert answer.headers["Content-Range"] == f"bytes {begin}-{begin + len(part) - 1}/{SIZE}"


def big(files: Files, name: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Begin to fetch 64 MiB of an image, more than all buffers on the way hold."""
    path = files.settings.image_root / name
    with path.open("wb") as file:
        for number in range(64):
            file.write(bytes([number]) * MIB)
    add(files.settings, name)
    connection = http.client.HTTPConnection(re.sub(r"^\w+://", "", files.server.url), timeout=20)
    connection.request("GET", f"/images/{name}")
    answer = connection.getresponse()
    assert answer.getheader("Content-Length") == str(64 * MIB)
    assert answer.read(MIB) == bytes(MIB)
    return connection, answer


def test_a_file_that_becomes_shorter_ends_the_connection(files: Files) -> None:
    connection, answer = big(files, "shrinks.img")
    os.truncate(files.settings.image_root / "shrinks.img", 2 * MIB)
    began = time.monotonic()
    got = MIB
    while data := answer.read(MIB):  # no data: the end of the connection, or this times out
        got += len(data)
    assert time.monotonic() - began < 10
    assert 2 * MIB <= got < 64 * MIB
    connection.close()
    assert files.ask(None, "HEAD").status_code == 200


def test_what_was_opened_comes_whole_though_it_is_replaced_and_deleted(files: Files) -> None:
    root = files.settings.image_root
    connection, answer = big(files, "replaced.img")
    (root / "new").write_bytes(b"new")
    (root / "new").replace(root / "replaced.img")
    for number in range(1, 64):
        if number == 32:
            (root / "replaced.img").unlink()
        assert answer.read(MIB) == bytes([number]) * MIB
    assert answer.read() == b""
    connection.close()


def test_a_client_that_goes_away_leaves_nothing_open(files: Files) -> None:
    connection, answer = big(files, "left.img")
    path = str(files.settings.image_root / "left.img")
    assert path in opened(files)
    answer.close()
    connection.close()
    assert wait_until(lambda: path not in opened(files), 15)


def opened(files: Files) -> set[str]:
    """Return what the server's processes have open."""
    found = set()
    for pid in files.server.family():
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            try:
                found.add(os.readlink(handle))
            except OSError:
                continue
    return found
