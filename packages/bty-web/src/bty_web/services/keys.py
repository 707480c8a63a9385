"""The server's key, and the tokens that are made of it or kept as a hash."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from bty_web.errors import BrokenSetting

LENGTH = 32  # bytes of the key
NAME = "secret.key"


def load_key(state_dir: Path, name: str = NAME) -> bytes:
    """Return the key in `state_dir`; make it, whole and readable by its owner only, where there is none.

    Raises `BrokenSetting` when it cannot be made, is too short, or can be read by others.
    """
    path = state_dir / name
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            key = file.read(4096)
    except OSError as error:
        raise BrokenSetting(
            f"the key {path} cannot be read or made: {error.strerror}",
            hint="run bty-web as the user who owns the state folder, or set BTY_STATE_DIR",
        ) from error
    if len(key) < LENGTH:
        raise BrokenSetting(
            f"the key {path} has {len(key)} bytes, fewer than {LENGTH}",
            hint="restore it from a backup, or remove it: a new one is made, and what the old one locked is lost",
        )
    if mode & 0o077:
        raise BrokenSetting(
            f"the key {path} can be read by others (mode {mode:04o})",
            hint=f"chmod 600 {path}; if others have read it, remove it so that a new one is made",
        )
    return key


def _make(path: Path) -> None:
    partial = path.with_name(f".{path.name}.part-{os.getpid()}-{secrets.token_hex(4)}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(LENGTH))
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: of two processes that start together, one key wins and both read it.
        with suppress(FileExistsError):
            os.link(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def derived(key: bytes, purpose: str) -> bytes:
    """Return a key for one purpose only, so that what one leaks says nothing of another."""
    return hmac.digest(key, purpose.encode(), "sha256")


def attempt_token(key: bytes, attempt: int, nonce: str) -> str:
    """Return the token of an attempt: its number, a hyphen, 32 hexadecimal digits."""
    words = f"{attempt}:{nonce}".encode()
    return f"{attempt}-{hmac.new(derived(key, 'attempt token'), words, 'sha256').hexdigest()[:32]}"


def attempt_of(token: str) -> int | None:
    """Return the number of the attempt that `token` claims to belong to."""
    number = token.partition("-")[0]
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 19 else None


def same(one: str, other: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def new_api_token() -> str:
    """Return a new bearer token for the API."""
    return "bty_" + secrets.token_urlsafe(32)


def hashed(token: str) -> str:
    """Return what is kept of a bearer token, which is random and long, so that a plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
