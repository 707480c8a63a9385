"""Redirects, certificates and mirrors."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from bty_core.errors import ImageUnavailable
from bty_core.images.http import HttpSource
from bty_core.proc import run
from tests.core.images.http_checks import (
    DATA,
    FAST,
    Retries,
    check_close,
    check_failure,
    drain,
    fetch,
    source_of,
)
from tests.fakes.server import Fault, ImageServer


def test_a_redirect_is_followed_and_remembered() -> None:
    drop = [Fault(drop_after=70_000)]
    with ImageServer(DATA, name="real.img", faults=drop) as mirror, ImageServer(b"") as server:
        moved = {"Location": mirror.url}
        server.answers["/images/debian.img"] = Fault(status=302, headers=moved)
        source = HttpSource(server.url.replace("://", "://me:secret@"), settings=FAST)

        assert source.size == len(DATA)
        assert fetch(source)[0] == DATA
        assert (source.name, str(source)) == ("debian.img", server.url)
        assert len(server.seen) == 1
        assert len(mirror.transfers) == 2
        assert "Authorization" in server.seen[0].headers
        assert not any("Authorization" in one.headers for one in mirror.seen)


def test_a_mirror_that_goes_away_is_replaced() -> None:
    gone = [Fault(drop_after=70_000), Fault(status=403)]
    with (
        ImageServer(DATA, faults=gone, etag='"1"') as one,
        ImageServer(DATA, etag='"2"') as two,
        ImageServer(b"") as server,
    ):
        server.answers["/images/debian.img"] = Fault(status=302, headers={"Location": one.url})
        stream = source_of(server).open(Retries().append)
        server.answers["/images/debian.img"] = Fault(status=302, headers={"Location": two.url})

        assert drain(stream) == DATA
        assert [seen.range for seen in two.seen] == ["bytes=70000-"]


def test_redirects_that_never_end() -> None:
    with ImageServer(DATA, then=Fault(status=301, headers={"Location": "debian.img"})) as server:
        message = "{url} cannot be read: the server sends on more than 10 times"
        check_failure(server, ImageUnavailable, message, "check the server's redirects")
        assert len(server.seen) == 11


@pytest.mark.parametrize("location", ["ftp://host/a", "http://[x/", "file:///etc/passwd"])
def test_a_redirect_to_nowhere(location: str) -> None:
    with ImageServer(DATA, then=Fault(status=307, headers={"Location": location})) as server:
        message = "{url} cannot be read: the server sends on to something that is no web address"
        check_failure(server, ImageUnavailable, message, "check the server's redirects")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 that nobody has signed, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    run(["openssl", "req", "-x509", *kind, *names, *files], timeout=30)
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return both


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.with_name("cert.pem")))


@pytest.mark.usefixtures("trusted")
def test_https_with_an_authority_of_ones_own(tls: ssl.SSLContext) -> None:
    faults = [Fault(drop_after=70_000), Fault(drop_after=10_000, reset=True)]
    with ImageServer(DATA, tls=tls, faults=faults) as server:
        source = source_of(server)

        assert source.size == len(DATA)
        data, retries = fetch(source)
        assert data == DATA
        assert len(retries) == 2


def test_a_certificate_that_nobody_signed(tls: ssl.SSLContext) -> None:
    with ImageServer(DATA, tls=tls) as server:
        message = "{url} cannot be read: the certificate of 127.0.0.1 was not accepted: "
        check_failure(
            server,
            ImageUnavailable,
            message + "self-signed certificate",
            "check the clock of this machine and the certificate; "
            "REQUESTS_CA_BUNDLE names a file with own authorities",
        )


def test_https_where_http_is_spoken() -> None:
    with ImageServer(DATA) as server:
        source = HttpSource(server.url.replace("http:", "https:"), settings=FAST)
        with pytest.raises(ImageUnavailable) as caught:
            source.open(Retries().append)
        assert str(caught.value).startswith(
            f"{source} cannot be read: {server.host} made no encrypted connection: "
        )
        assert caught.value.hint == "check that https is spoken on this port"


@pytest.mark.usefixtures("trusted")
def test_a_redirect_from_https_to_http(tls: ssl.SSLContext) -> None:
    with ImageServer(DATA) as plain, ImageServer(DATA, tls=tls) as server:
        server.answers["/images/debian.img"] = Fault(status=302, headers={"Location": plain.url})
        message = "{url} cannot be read: the server sends on from https to plain http on 127.0.0.1"
        hint = "give the http address itself if an open connection is what you want"
        check_failure(server, ImageUnavailable, message, hint)
        assert plain.seen == []


@pytest.mark.usefixtures("trusted")
def test_closing_ends_a_read_over_tls(tls: ssl.SSLContext) -> None:
    with ImageServer(DATA, tls=tls, then=Fault(stall_after=70_000)) as server:
        check_close(server, after=70_000)
