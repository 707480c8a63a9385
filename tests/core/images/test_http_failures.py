"""Servers and networks that say no, each with its sentence."""

from __future__ import annotations

import errno
import socket
import threading

import pytest
import requests

from bty_core.errors import ImageUnavailable, InvalidValue
from bty_core.images.address import HttpSettings
from bty_core.images.failures import from_requests
from bty_core.images.http import HttpSource
from tests.core.images.http_checks import (
    DATA,
    DROPPED,
    FAST,
    RUNS,
    Retries,
    check_failure,
    fetch,
)
from tests.fakes.server import Fault, ImageServer


@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [
        (500, "500 Internal Server Error", "look into the log of the server"),
        (503, "503 Service Unavailable", "look into the log of the server"),
        (429, "429 Too Many Requests", "wait a little, then start again"),
    ],
)
def test_a_server_that_stays_busy(status: int, said: str, hint: str) -> None:
    with ImageServer(DATA, then=Fault(status=status)) as server:
        message = f"{{url}} cannot be read: the server answered {said} (4 tries in a row)"
        assert len(check_failure(server, ImageUnavailable, message, hint)) == 3


def test_a_server_that_forgets_the_file_in_the_middle() -> None:
    with ImageServer(DATA, faults=[Fault(drop_after=70_000), Fault(status=404)]) as server:
        message = "{url} broke off after 70000 of 200003 bytes: the server answered 404 Not Found"
        check_failure(server, ImageUnavailable, message, "check the address")


def test_a_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    source = HttpSource(f"http://127.0.0.1:{port}/a.img", settings=FAST)
    with pytest.raises(ImageUnavailable) as caught:
        source.open(Retries().append)
    assert str(caught.value) == (
        f"{source} cannot be read: 127.0.0.1:{port} refused the connection (4 tries in a row)"
    )
    assert caught.value.hint == RUNS


def test_an_unknown_name() -> None:
    source = HttpSource("http://nobody.invalid/a.img", settings=FAST)
    with pytest.raises(ImageUnavailable) as caught:
        _ = source.size
    assert str(caught.value) == (
        "http://nobody.invalid/a.img cannot be read: the name nobody.invalid is not known here"
    )
    assert caught.value.hint == "check the address, and the name server of this network"


def test_a_host_that_takes_no_connections() -> None:
    limits = HttpSettings(connect_seconds=0.1, tries=1)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]  # they fill the queue
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        source = HttpSource(f"http://127.0.0.1:{port}/a.img", settings=limits)
        with pytest.raises(ImageUnavailable) as caught:
            source.open(Retries().append)
        for one in waiting:
            one.close()
    assert str(caught.value) == (
        f"{source} cannot be read: 127.0.0.1:{port} took no connection within 0.1 seconds"
    )


def test_something_that_is_no_web_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            with server.accept()[0] as link:
                link.recv(4096)
                link.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        port = server.getsockname()[1]
        source = HttpSource(f"http://127.0.0.1:{port}/a.img", settings=FAST)
        with pytest.raises(ImageUnavailable) as caught:
            source.open(Retries().append)
        thread.join(5)
    assert (
        str(caught.value) == f"{source} cannot be read: what 127.0.0.1:{port} answered is not HTTP"
    )


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://user:secret@127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    source = HttpSource("http://images.invalid/a.img", settings=FAST)
    with pytest.raises(ImageUnavailable) as caught:
        _ = source.size
    assert str(caught.value) == (
        "http://images.invalid/a.img cannot be read: "
        "the proxy on the way to images.invalid does not let this through"
    )
    assert caught.value.hint == "check HTTP_PROXY, HTTPS_PROXY and NO_PROXY"


def test_a_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with ImageServer(DATA) as server:
        monkeypatch.setenv("http_proxy", f"http://{server.host}")
        monkeypatch.setenv("no_proxy", "")
        source = HttpSource("http://images.invalid/images/debian.img", settings=FAST)

        assert fetch(source) == (DATA, [])
        assert server.seen[0].path == "http://images.invalid/images/debian.img"


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (OSError(errno.ENETUNREACH, "no"), "there is no way to images.invalid:80"),
        (OSError(errno.EHOSTUNREACH, "no"), "there is no way to images.invalid:80"),
        (BrokenPipeError(), DROPPED),
        (OSError(errno.EMFILE, "no"), "the request failed (ConnectionError)"),
    ],
)
def test_what_the_network_says(cause: OSError, reason: str) -> None:
    wrapped = requests.ConnectionError(requests.ConnectionError(cause))

    assert from_requests(wrapped, "http://images.invalid/a.img", 1, 1).reason == reason


def test_a_tls_handshake_that_breaks_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            for _ in range(2):
                with server.accept()[0] as link:
                    link.recv(4096)

        thread = threading.Thread(target=hang_up)
        thread.start()
        limits = HttpSettings(tries=2, waits=(0.01,))
        source = HttpSource(f"https://127.0.0.1:{server.getsockname()[1]}/a.img", settings=limits)
        with pytest.raises(ImageUnavailable) as caught:
            source.open(Retries().append)
        thread.join(5)
    assert str(caught.value) == f"{source} cannot be read: {DROPPED} (2 tries in a row)"


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "\u2010.example", "*.example", "a..b"])
def test_a_host_that_cannot_be(host: str) -> None:
    source = HttpSource(f"http://{host}/a.img", settings=FAST)
    with pytest.raises(ImageUnavailable) as caught:
        _ = source.size
    assert str(caught.value) in (
        f"{source} cannot be read: the address is not a valid one",
        f"{source} cannot be read: the name {host} is not known here",
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://host/a.img", "'ftp://host/a.img' is not the address of a file on a web server"),
        ("http:///a.img", "'http:///a.img' is not the address of a file on a web server"),
        ("http://host/a\nb", "'http://host/ab' is not the address of a file on a web server"),
        ("http://host:x/a.img", "an address cannot be understood"),
        ("http://[::1/a.img", "an address cannot be understood"),
        ("http://u:p@host/images/", "'http://host/images/' names a folder, not an image"),
        ("http://host", "'http://host' names a folder, not an image"),
    ],
)
def test_an_address_that_is_none(url: str, message: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        HttpSource(url)
    assert str(caught.value) == message


def test_the_password_is_used_and_never_shown() -> None:
    with ImageServer(DATA, faults=[Fault(), Fault(status=403)]) as server:
        source = HttpSource(server.url.replace("://", "://me:s%40cret@"), settings=FAST)

        assert fetch(source) == (DATA, [])
        assert server.seen[0].headers["Authorization"] == "Basic bWU6c0BjcmV0"
        assert str(source) == server.url
        with pytest.raises(ImageUnavailable) as caught:
            fetch(source)
        assert str(caught.value) == (
            f"{server.url} cannot be read: the server answered 403 Forbidden"
        )
