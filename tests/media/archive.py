"""A signed archive of Debian packages on a loopback address, which apt asks as it asks any mirror."""

from __future__ import annotations

import hashlib
import os
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

SUITES = ("trixie", "trixie-updates")
COMPONENTS = ("main", "non-free-firmware")
# A mkosi that says its version, which is all that is asked of it.
PROGRAM = "print('mkosi 99.1')\n"


class Keys:
    """A key of its own, gone at the end."""

    def __init__(self, home: Path) -> None:
        self._home = home
        home.mkdir(mode=0o700)
        self._gpg("--passphrase", "", "--quick-gen-key", "archive@localhost", "rsa2048", "sign")

    def keyring(self, path: Path) -> Path:
        """Write the public key as apt wants it."""
        path.write_bytes(self._gpg("--export"))
        return path

    def sign(self, text: str) -> bytes:
        """Return `text` with a signature around it."""
        return self._gpg("--clearsign", stdin=text.encode())

    def close(self) -> None:
        """End the agent that gpg has started."""
        subprocess.run(["gpgconf", "--kill", "all"], env=self._env, check=True)

    @property
    def _env(self) -> dict[str, str]:
        return {**os.environ, "GNUPGHOME": str(self._home)}

    def _gpg(self, *words: str, stdin: bytes = b"") -> bytes:
        gpg = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", *words]
        return subprocess.run(
            gpg, input=stdin, stdout=subprocess.PIPE, env=self._env, check=True
        ).stdout


@contextmanager
def archive(folder: Path) -> Iterator[tuple[str, Path]]:
    """Serve an archive that holds mkosi; yield its address and the key that it is signed with."""
    folder.mkdir()
    keys = Keys(folder / "gpg")
    try:
        root = folder / "debian"
        pool = root / "pool"
        pool.mkdir(parents=True)
        entry = _package(folder / "package", pool / "mkosi_99.1_all.deb")
        for suite in SUITES:
            _suite(root / "dists" / suite, suite, entry if suite == "trixie" else "", keys)
        with _serving(folder) as address:
            yield f"{address}/debian", keys.keyring(folder / "archive.gpg")
    finally:
        keys.close()


def make_wheel(folder: Path) -> Path:
    """Put a wheel of xxhash for Python 3.13 into `folder`, with nothing in it."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "xxhash-3.6.0-cp313-cp313-manylinux2014_x86_64.whl", "w") as file:
        info = "xxhash-3.6.0.dist-info"
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: xxhash\nVersion: 3.6.0\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\n")
        file.writestr(f"{info}/RECORD", "")
    return folder


def _package(tree: Path, deb: Path) -> str:
    """Make the package, and return its entry in an index."""
    control = "Package: mkosi\nVersion: 99.1\nArchitecture: all\nMaintainer: nobody\n"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(f"{control}Description: a mkosi\n")
    module = tree / "usr/lib/python3/dist-packages/mkosi"
    module.mkdir(parents=True)
    (module / "__main__.py").write_text(PROGRAM)
    subprocess.run(["dpkg-deb", "--build", "-Znone", tree, deb], check=True, capture_output=True)
    digest = hashlib.sha256(deb.read_bytes()).hexdigest()
    return (
        f"{control}Filename: pool/{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n"
        "Description: a mkosi\n\n"
    )


def _suite(folder: Path, suite: str, entries: str, keys: Keys) -> None:
    lines = [
        *("Origin: Debian", "Label: Debian", f"Suite: {suite}", f"Codename: {suite}"),
        f"Date: {formatdate(usegmt=True)}",
        "Architectures: all amd64",
        f"Components: {' '.join(COMPONENTS)}",
        "SHA256:",
    ]
    for component in COMPONENTS:
        index = folder / component / "binary-amd64/Packages"
        index.parent.mkdir(parents=True)
        index.write_text(entries if component == "main" else "")
        digest = hashlib.sha256(index.read_bytes()).hexdigest()
        lines.append(f" {digest} {index.stat().st_size} {index.relative_to(folder)}")
    (folder / "InRelease").write_bytes(keys.sign("\n".join(lines) + "\n"))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
