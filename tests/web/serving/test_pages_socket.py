"""The way in for a proxy on the same machine: beside the port, and believed."""

from __future__ import annotations

import http.client
import os
import socket
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.web.cli.running import bty_web
from tests.web.serving.server import Server, serving

FORWARDED = {
    "Host": "server.example",
    "X-Forwarded-For": "198.51.100.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "server.example",
}


class Through(http.client.HTTPConnection):
    """A connection as the proxy makes it."""

    def __init__(self, path: Path) -> None:
        super().__init__("server.example", timeout=60)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self._path)


def ask(door: Path, path: str, times: int = 1) -> tuple[int, dict[str, str], bytes]:
    """Ask through the socket, over one connection; return status, headers and body of the last answer."""
    with closing(Through(door)) as connection:
        for left in reversed(range(times)):
            connection.request("GET", path, headers=FORWARDED)
            answer = connection.getresponse()
            body = answer.read()
            if not left:
                return answer.status, dict(answer.getheaders()), body
    raise AssertionError("nothing was asked")


@pytest.fixture
def door(tmp_path: Path) -> Path:
    return tmp_path / "pages.sock"


@pytest.fixture
def server(tmp_path: Path, door: Path) -> Iterator[Server]:
    with serving(tmp_path, BTY_PAGES_SOCKET=str(door)) as running:
        yield running


def test_both_doors_are_open_and_the_socket_is_for_its_group(server: Server, door: Path) -> None:
    assert server.get("/healthz").json() == {"status": "ok"}
    assert ask(door, "/healthz")[2] == b'{"status":"ok"}\n'
    assert stat.S_IMODE(door.stat().st_mode) == 0o660


def test_what_came_through_the_socket_was_encrypted(server: Server, door: Path) -> None:
    status, headers, body = ask(door, "/ui/login", times=3)
    assert (status, b"came unencrypted" in body) == (200, False)
    cookie = headers["Set-Cookie"]
    assert (cookie.startswith("__Host-bty="), "Secure" in cookie) == (True, True)
    answer = server.get("/ui/login", headers=FORWARDED)
    assert "This page came unencrypted" in answer.text
    assert "https://server.example/ui/login" in answer.text
    assert answer.headers["Set-Cookie"].startswith("bty=")


def test_who_the_client_is_is_believed_through_the_socket_alone(
    server: Server, door: Path, tmp_path: Path
) -> None:
    ask(door, "/pxe/52-54-00-00-00-01")
    server.get("/pxe/52-54-00-00-00-02", headers=FORWARDED)
    with closing(sqlite3.connect(tmp_path / "state/bty.db")) as database:
        seen = dict(database.execute("SELECT mac, discovered_from FROM machines").fetchall())
    assert seen == {"52:54:00:00:00:01": "198.51.100.7", "52:54:00:00:00:02": "127.0.0.1"}


def test_large_files_go_through_whole(server: Server, door: Path, tmp_path: Path) -> None:
    content = os.urandom(1 << 20) * 24
    (tmp_path / "state/boot").mkdir(parents=True, exist_ok=True)
    (tmp_path / "state/boot/large.bin").write_bytes(content)
    _, headers, body = ask(door, "/boot/large.bin")
    assert headers["Content-Length"] == str(len(content))
    assert body == content


def test_the_socket_goes_with_the_server_and_an_old_one_is_no_obstacle(
    tmp_path: Path, door: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(door))
    with serving(tmp_path, BTY_PAGES_SOCKET=str(door)) as server:
        assert ask(door, "/healthz")[0] == 200
        code, err, _ = server.end()
        assert (code, "Traceback" in err) == (0, False)
    assert not door.exists()


def test_a_socket_that_cannot_be_made_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BTY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("BTY_PAGES_SOCKET", str(tmp_path / "none/pages.sock"))
    ran = bty_web("serve", "--bind", "127.0.0.1:0")
    assert ran.code == 5
    assert ran.said[-2:] == [
        f"bty-web: cannot listen on {tmp_path}/none/pages.sock: no such file or directory",
        "hint: give bty-web a folder that it may write to, or take BTY_PAGES_SOCKET away",
    ]
