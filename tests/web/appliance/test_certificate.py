"""The pages have a certificate from the first start on, and an operator's own one stays."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from bty_core.errors import InvalidValue
from bty_web.appliance import certificate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "tls"


def told(folder: Path, *what: str) -> str:
    argv: list[str | Path] = ["openssl", "x509", "-noout", "-in", folder / "certificate.pem", *what]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def handshake(folder: Path, name: str) -> None:
    """Serve with the certificate and connect as a client that trusts it alone; raise what the client raises."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    client = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
    one, other = socket.socketpair()

    def serve() -> None:
        try:
            serving.wrap_socket(one, server_side=True).close()
        except OSError:
            one.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with other:
            client.wrap_socket(other, server_hostname=name).close()
    finally:
        other.close()
        thread.join()


def test_the_first_one_is_made_and_serves(folder: Path) -> None:
    host = socket.gethostname()
    assert certificate.provide(folder) == (
        f"{folder}/certificate.pem was made, signed by itself, for {host}, {host}.local, localhost"
    )
    handshake(folder, "localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(folder, "elsewhere.example")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "key.pem")}
    assert modes == {"tls": 0o700, "key.pem": 0o600}


def test_it_stays_as_long_as_it_is_good(folder: Path) -> None:
    certificate.provide(folder)
    before = (folder / "certificate.pem").read_bytes()
    assert certificate.provide(folder) == f"{folder}/certificate.pem is there"
    assert (folder / "certificate.pem").read_bytes() == before


def test_one_that_ends_soon_is_made_again_with_the_same_key(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(certificate, "_DAYS", 20)
        certificate.provide(folder)
    before = {name: (folder / name).read_bytes() for name in ("certificate.pem", "key.pem")}
    certificate.provide(folder)
    assert (folder / "certificate.pem").read_bytes() != before["certificate.pem"]
    assert (folder / "key.pem").read_bytes() == before["key.pem"]
    assert certificate.provide(folder) == f"{folder}/certificate.pem is there"


def test_an_operators_own_one_is_never_touched(folder: Path) -> None:
    certificate.provide(folder)
    key, own = folder / "key.pem", folder / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    subprocess.run(
        [*words, "-subj", "/CN=own", "-keyout", key, "-out", own], check=True, capture_output=True
    )
    before = own.read_bytes()
    assert certificate.provide(folder) == f"{own} is not bty's own: it stays as it is"
    assert own.read_bytes() == before
    assert hashlib.sha256(before).hexdigest() != (folder / "made-by-bty").read_text()


def test_a_name_of_ones_own_with_another_one(folder: Path) -> None:
    certificate.provide(folder)
    certificate.provide(folder, ["bty.lab.example", "192.0.2.7", "2001:db8::7"], again=True)
    handshake(folder, "bty.lab.example")
    handshake(folder, "192.0.2.7")
    names = told(folder, "-ext", "subjectAltName").replace(" ", "")
    assert "DNS:bty.lab.example,IPAddress:192.0.2.7,IPAddress:2001:DB8:0:0:0:0:0:7" in names


@pytest.mark.parametrize("name", ["", "a b", "a,DNS:b", "a/CN=b", "-\n"])
def test_a_name_that_cannot_be_one_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(InvalidValue, match="is no name or address of a server"):
        certificate.provide(folder, [name], again=True)
    assert not os.path.exists(folder)
