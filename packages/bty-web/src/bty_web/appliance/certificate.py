"""``bty-appliance certificate``: the pages have a certificate from the first start on.

One that was made here is made again before it ends. One that somebody put in its place is never touched.
"""

from __future__ import annotations

import hashlib
import os
import socket
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bty_core.errors import InvalidValue, WriteFailed
from bty_core.proc import run
from bty_web.dhcp.durable import sync_folder, write_durably

FOLDER = Path("/etc/bty/tls")
CERTIFICATE = "certificate.pem"
KEY = "key.pem"
_MADE = "made-by-bty"  # the digest of the certificate that was made here
_DAYS = 800  # some browsers take none that is valid for more than 825 days
_SOON = 30 * 86400  # seconds before its end in which a certificate is made again
_TIMEOUT = 120.0
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:")


def provide(folder: Path = FOLDER, names: Sequence[str] = (), *, again: bool = False) -> str:
    """See to it that there is a certificate, and return a sentence. `names` are further names or addresses.

    `again` makes another one of bty's own in any case. Raises `CommandFailed`, `InvalidValue` or `WriteFailed`.
    """
    for name in names:
        if not name or not set(name) <= _NAME:
            raise InvalidValue(f"'{name}' is no name or address of a server")
    certificate, key = folder / CERTIFICATE, folder / KEY
    if certificate.exists() and not again:
        if not _is_ours(folder):
            return f"{certificate} is not bty's own: it stays as it is"
        if not _ends_soon(certificate):
            return f"{certificate} is there"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not key.exists():
            _make_key(key)
        made = _sign(key, names)
        # Said first: after a power cut in between, the old one is taken for somebody else's, at worst.
        write_durably(folder / _MADE, hashlib.sha256(made).hexdigest().encode())
        write_durably(certificate, made)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise WriteFailed(f"{folder} cannot be written: {why}", hint="run this as root") from None
    return f"{certificate} was made, signed by itself, for {', '.join(_names(names))}"


def _is_ours(folder: Path) -> bool:
    try:
        noted = (folder / _MADE).read_text("ascii")
        return noted == hashlib.sha256((folder / CERTIFICATE).read_bytes()).hexdigest()
    except (OSError, ValueError):
        return False


def _ends_soon(certificate: Path) -> bool:
    words = ["openssl", "x509", "-noout", "-checkend", str(_SOON), "-in", str(certificate)]
    return "will not expire" not in run(words, timeout=_TIMEOUT, ok=(0, 1))


def _make_key(path: Path) -> None:
    words = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    made = run(words, timeout=_TIMEOUT)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # for its owner only
    try:
        with os.fdopen(handle, "w") as file:
            file.write(made)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
        sync_folder(path.parent)
    finally:
        with suppress(FileNotFoundError):
            Path(name).unlink()


def _sign(key: Path, names: Sequence[str]) -> bytes:
    listed = _names(names)
    kinds = [f"{'IP' if _is_address(name) else 'DNS'}:{name}" for name in listed]
    words = ["openssl", "req", "-x509", "-new", "-key", str(key), "-sha256", "-days", str(_DAYS)]
    words += ["-subj", f"/O=bty server/CN={listed[0][:64]}"]
    words += ["-addext", f"subjectAltName={','.join(kinds)}"]
    words += ["-addext", "keyUsage=critical,digitalSignature"]
    words += ["-addext", "extendedKeyUsage=serverAuth"]
    return run(words, timeout=_TIMEOUT).encode()


def _names(names: Sequence[str]) -> list[str]:
    host = socket.gethostname()
    return list(dict.fromkeys([*names, host, f"{host}.local", "localhost"]))


def _is_address(name: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            socket.inet_pton(family, name)
            return True
    return False
