"""`install`: a network environment goes to a real server, whole or not at all."""

from __future__ import annotations

import http.server
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest
import requests

from bty_media.exits import Exit
from bty_media.live_tar import LiveTar
from bty_media.manifest import MANIFEST, Kind, read, write
from bty_web.services.live import Manifest as ServersManifest
from bty_web.services.live_tar import LARGEST_MANIFEST
from tests.conftest import MIB
from tests.media.running import bty_media, make_build
from tests.media.serving import Served, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server without a live environment."""
    with serving(tmp_path_factory.mktemp("server")) as found:
        yield found


@pytest.fixture(scope="module")
def token(server: Served) -> str:
    """A token of an admin."""
    return server.token()


def test_machines_get_what_was_sent(server: Served, token: str, tmp_path: Path) -> None:
    folder = make_build(tmp_path, Kind.PXE, "1.0-sent")
    ran = bty_media("install", server.url, "--token", token, "--live", folder)
    assert ran.code == Exit.DONE, ran.err
    assert ran.out.startswith(f"machines get 1.0-sent from {server.url} now: 5.24 MB in ")
    assert ran.said[-1].startswith("bty-media: sending 100 %, 5.25 MB, ")
    for name in ("vmlinuz", "initrd.img"):
        got = requests.get(f"{server.url}/boot/1.0-sent/{name}", timeout=60)
        assert got.content == (folder / name).read_bytes()
    active = json.loads((server.boot / MANIFEST).read_text())
    assert active["version"] == "1.0-sent"
    assert active["cmdline"] == "console=ttyS0 quiet"


def test_the_newest_build_is_sent_and_the_token_may_come_from_the_environment(
    server: Served, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_build(tmp_path, Kind.PXE, "2.0-older", day=1)
    make_build(tmp_path, Kind.PXE, "2.0-newer", day=2)
    make_build(tmp_path, Kind.USB, "2.1", {"stick.img": b"x"}, day=3)
    monkeypatch.setenv("BTY_TOKEN", token)
    ran = bty_media("install", server.url, "--output", tmp_path)
    assert (ran.code, ran.out.split()[2]) == (Exit.DONE, "2.0-newer")
    again = bty_media("install", server.url, "--output", tmp_path)
    assert again.code == Exit.DONE
    assert again.said[0] == f"bty-media: {server.url} has 2.0-newer already, and looks it over"


def test_another_content_under_a_known_version_is_refused(
    server: Served, token: str, tmp_path: Path
) -> None:
    first = make_build(tmp_path, Kind.PXE, "3.0")
    assert bty_media("install", server.url, "--token", token, "--live", first).code == Exit.DONE
    shutil.rmtree(first)
    other = make_build(tmp_path, Kind.PXE, "3.0")
    ran = bty_media("install", server.url, "--token", token, "--live", other)
    assert (ran.code, ran.out) == (Exit.REFUSED, "")
    assert ran.said[-2:] == [
        f"bty-media: {server.url} does not take it: there is another live environment 3.0 already",
        "     hint: give what was built anew a version of its own",
    ]


@pytest.mark.parametrize("wrong", ["bty_no", "bty_" + "x" * 43])
def test_a_token_that_nobody_knows(server: Served, wrong: str, tmp_path: Path) -> None:
    folder = make_build(tmp_path, Kind.PXE, "4.0")
    ran = bty_media("install", server.url, "--token", wrong, "--live", folder)
    assert (ran.code, ran.out) == (Exit.REFUSED, "")
    assert ran.said == [
        f"bty-media: the server {server.url} does not know this token",
        "     hint: make one on the server: bty-web token LABEL --scope admin",
    ]
    assert not (server.boot / "4.0").exists()


def test_a_token_that_may_only_look(server: Served, tmp_path: Path) -> None:
    # So large that the server is not waiting for it to end.
    folder = make_build(tmp_path, Kind.PXE, "4.1", {"vmlinuz": b"k", "initrd.img": bytes(40 * MIB)})
    ran = bty_media("install", server.url, "--token", server.token("read"), "--live", folder)
    assert (ran.code, ran.out) == (Exit.REFUSED, ""), ran.err
    assert ran.said[-2:] == [
        f"bty-media: this token may not install a network environment on {server.url}",
        "     hint: make one on the server: bty-web token LABEL --scope admin",
    ]


def test_without_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BTY_TOKEN", raising=False)
    ran = bty_media("install", "http://127.0.0.1:9", "--output", tmp_path)
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert ran.said == [
        "bty-media: the token is missing",
        "     hint: say --token TOKEN, or put it into the environment as BTY_TOKEN",
    ]


def test_a_damaged_build_is_not_sent(server: Served, token: str, tmp_path: Path) -> None:
    folder = make_build(tmp_path, Kind.PXE, "5.0")
    with (folder / "initrd.img").open("r+b") as file:
        file.write(b"damage")
    ran = bty_media("install", server.url, "--token", token, "--live", folder)
    assert (ran.code, ran.out) == (Exit.INTEGRITY, "")
    assert f"{folder} is not what its manifest says: initrd.img: its SHA-256 is " in ran.said[0]
    assert not (server.boot / "5.0").exists()


def test_a_command_line_that_firmware_must_not_get(
    server: Served, token: str, tmp_path: Path
) -> None:
    folder = make_build(tmp_path, Kind.PXE, "5.1")
    text = (folder / MANIFEST).read_text().replace("console=ttyS0", "console=${odd}")
    (folder / MANIFEST).write_text(text)
    (folder / "SHA256SUMS").unlink()
    found = read(folder)
    write(folder, found)
    ran = bty_media("install", server.url, "--token", token, "--live", folder)
    assert (ran.code, ran.out) == (Exit.REFUSED, "")
    assert ran.said[-1] == (
        f"bty-media: {server.url} does not take it: 'cmdline':"
        " this is not a kernel command line that firmware can be given"
    )


def test_a_stick_is_no_network_environment(tmp_path: Path) -> None:
    folder = make_build(tmp_path, Kind.USB, "1.0", {"stick.img": b"x"})
    ran = bty_media("install", "http://127.0.0.1:9", "--token", "x", "--live", folder)
    assert ran.code == Exit.USAGE
    assert (
        ran.said[0] == f"bty-media: {folder} holds a build of usb, not of the network environment"
    )


def test_a_server_that_is_away(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        folder = make_build(tmp_path, Kind.PXE, "6.0")
        ran = bty_media("install", f"http://{address}/", "--token", "x", "--live", folder)
    assert (ran.code, ran.out) == (Exit.UNREACHABLE, "")
    assert ran.said == [
        f"bty-media: the server http://{address} cannot be reached:"
        f" {address} refused the connection",
        "     hint: check the address, and that the server runs",
    ]


@pytest.mark.parametrize(
    "url", ["10.0.0.1:8080", "ftp://server", "http://u:p@server", "http://s?x"]
)
def test_what_is_no_address_of_a_server(tmp_path: Path, url: str) -> None:
    ran = bty_media("install", url, "--token", "x", "--output", tmp_path)
    assert (ran.code, ran.out) == (Exit.USAGE, "")


class _Other(http.server.BaseHTTPRequestHandler):
    answer: ClassVar[tuple[int, dict[str, str], bytes]]
    closes_after: ClassVar[int | None] = None

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._send(*self.answer)

    def do_PUT(self) -> None:
        if self.closes_after is not None:
            self.rfile.read(self.closes_after)
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def another(
    status: int, headers: dict[str, str], body: bytes, *, closes_after: int | None = None
) -> Iterator[str]:
    """Something that is no bty-web, or one that ends in the middle."""
    facts = {"answer": (status, headers, body), "closes_after": closes_after}
    kind = type("Other", (_Other,), facts)
    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=other.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{other.server_port}"
    finally:
        other.shutdown()
        other.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("status", "headers", "body", "code", "said"),
    [
        (200, {}, b"<html>", Exit.UNREACHABLE, "{} is no bty-web: it answers 200"),
        (404, {}, b"not here", Exit.UNREACHABLE, "{} is no bty-web: it answers 404"),
        (302, {"Location": "https://elsewhere/"}, b"", Exit.REFUSED, "the server {} sends on to https://elsewhere/"),
        (503, {}, b'{"detail": "the database is away"}', Exit.UNREACHABLE, "the server {} fails: the database is away"),
        (507, {}, b'{"detail": "no room"}', Exit.REFUSED, "the server {} is full: no room"),
        (422, {}, b'{"detail": "bad", "code": "image-corrupt"}', Exit.INTEGRITY, "{} refuses what it got: bad"),
    ],
)  # fmt: skip
def test_other_answers_are_sentences(
    tmp_path: Path, status: int, headers: dict[str, str], body: bytes, code: Exit, said: str
) -> None:
    folder = make_build(tmp_path, Kind.PXE, "6.1")
    with another(status, headers, body) as url:
        ran = bty_media("install", url, "--token", "x", "--live", folder)
    assert (ran.code, ran.out) == (code, "")
    assert ran.said[0] == f"bty-media: {said.format(url)}"


def test_a_server_that_breaks_off_in_the_middle(tmp_path: Path) -> None:
    files = {"vmlinuz": b"k", "initrd.img": bytes(40 * MIB)}
    folder = make_build(tmp_path, Kind.PXE, "6.2", files)
    with another(200, {}, b'{"versions": []}', closes_after=MIB) as url:
        ran = bty_media("install", url, "--token", "x", "--live", folder)
    assert (ran.code, ran.out) == (Exit.UNREACHABLE, "")
    assert ran.said[-2].startswith(f"bty-media: the server {url} cannot be reached: ")


def test_a_netrc_does_not_replace_the_token(
    server: Served, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login odd password odder\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    folder = make_build(tmp_path, Kind.PXE, "7.0")
    assert bty_media("install", server.url, "--token", token, "--live", folder).code == Exit.DONE


def test_the_length_that_is_announced_is_the_length_that_is_sent(tmp_path: Path) -> None:
    for number, sizes in enumerate([(0, 1), (512, 511), (513, 10 * MIB + 1)]):
        files = {"vmlinuz": bytes(sizes[0]), "initrd.img": bytes(sizes[1])}
        folder = make_build(tmp_path, Kind.PXE, str(number), files)
        tar = LiveTar(folder, read(folder))
        assert len(tar) == sum(map(len, tar))


def test_a_manifest_with_many_packages_is_one_that_servers_take(tmp_path: Path) -> None:
    folder = make_build(tmp_path, Kind.PXE, "8.0")
    message = json.loads((folder / MANIFEST).read_text())
    message["packages"] = [
        {"name": f"libpackage{number}-dev", "version": "1:2.36-9+deb12u13"}
        for number in range(1000)
    ]
    text = json.dumps(message, indent=1)
    assert len(text) < LARGEST_MANIFEST
    assert ServersManifest.from_wire(json.loads(text)).version == "8.0"
