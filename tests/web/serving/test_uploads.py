"""Uploads through the real HTTP server: in pieces without a length, broken off, and refused in the middle."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from bty_web import database
from bty_web.models.words import Scope
from bty_web.services import users
from bty_web.settings import Settings
from tests.web.serving.server import PATIENCE, Server, serving
from tests.web.site import NOW, OPERATOR

PIECE = bytes(range(256)) * 1024  # 256 KiB


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state")


@pytest.fixture
def server(tmp_path: Path, settings: Settings) -> Iterator[Server]:
    with serving(tmp_path) as made:
        settings.image_root.mkdir(exist_ok=True)
        yield made


@pytest.fixture
def rights(server: Server, settings: Settings) -> dict[str, str]:
    """The headers of somebody who may upload."""
    return {"Authorization": f"Bearer {made_token(settings)}"}


def made_token(settings: Settings) -> str:
    engine = database.make_engine(settings)
    with database.working(engine) as session:
        _, token = users.add_token(session, "ci", Scope.OPERATE, by=OPERATOR, now=NOW)
    engine.dispose()
    return token


def names(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.image_root.iterdir())


def test_an_upload_in_pieces_is_whole(
    server: Server, settings: Settings, rights: dict[str, str]
) -> None:
    url = f"{server.url}/api/v1/images/a.img"
    pieces = (PIECE for _ in range(40))
    answer = requests.put(url, data=pieces, headers=rights, timeout=PATIENCE)
    assert (answer.status_code, answer.json()["size_bytes"]) == (201, 40 * len(PIECE))
    assert (settings.image_root / "a.img").read_bytes() == 40 * PIECE
    assert names(settings) == ["a.img"]


@pytest.mark.parametrize(
    "framing", ["Content-Length: 100000000", "Transfer-Encoding: chunked\r\nX: y"]
)
def test_of_an_upload_that_breaks_off_nothing_stays(
    server: Server, settings: Settings, rights: dict[str, str], framing: str
) -> None:
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    head = f"PUT /api/v1/images/a.img HTTP/1.1\r\nHost: x\r\n{framing}\r\n"
    head += f"Authorization: {rights['Authorization']}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as client:
        client.sendall(head.encode())
        client.sendall(b"4000000\r\n" + PIECE * 8 if "chunked" in framing else PIECE * 8)
        waited_for(lambda: any(".part-" in name for name in names(settings)))
    waited_for(lambda: names(settings) == [])
    assert server.get("/api/v1/images", headers=rights).json()["total"] == 0


def test_an_upload_that_stops_in_the_middle_is_given_up(tmp_path: Path, settings: Settings) -> None:
    with serving(tmp_path, TEST_BODY_SECONDS="1") as server:
        settings.image_root.mkdir(exist_ok=True)
        told = {"Authorization": f"Bearer {made_token(settings)}"}
        host, _, port = server.url.removeprefix("http://").rpartition(":")
        head = "PUT /api/v1/images/a.img HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n"
        head += f"Authorization: {told['Authorization']}\r\n\r\n"
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as client:
            client.sendall(head.encode() + PIECE * 8)
            answer = client.recv(1 << 16)
            while b"send it again" not in answer:
                more = client.recv(1 << 16)
                assert more, answer
                answer += more
        assert answer.startswith(b"HTTP/1.1 422 ")
        assert b"the body broke off after" in answer
        assert names(settings) == []


def waited_for(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_one_that_is_refused_is_answered_though_its_body_is_still_coming(
    server: Server, settings: Settings, rights: dict[str, str]
) -> None:
    (settings.image_root / "a.img").write_bytes(b"old")
    url = f"{server.url}/api/v1/images/a.img"
    answer = requests.put(url, data=PIECE * 200, headers=rights, timeout=PATIENCE)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert server.get("/healthz").status_code == 200
    assert (settings.image_root / "a.img").read_bytes() == b"old"
