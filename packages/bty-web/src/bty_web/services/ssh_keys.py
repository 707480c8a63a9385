"""Key pairs for SSH: Ed25519, in OpenSSH's own forms."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bty_core.wire.fields import InvalidField


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """`private` is a text in OpenSSH's format; `public` one line, type and key."""

    private: str
    public: str


def make_pair() -> KeyPair:
    """Make a pair that nobody has seen."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    return KeyPair(private=private.decode(), public=_public(key.public_key()))


def public_of(private: str) -> str:
    """Return the public line of a private key in a text; raise `InvalidField` for what is none, or has a passphrase."""
    try:
        key = serialization.load_ssh_private_key(private.encode(), password=None)
    except Exception:  # noqa: BLE001 - the library's failures are many, and may quote what they read
        key = None
    if key is None:
        raise InvalidField(
            "key",
            "this is no private key in OpenSSH's format, or it has a passphrase",
            hint="make one with: ssh-keygen -t ed25519 -N '' -f FILE",
        )
    return _public(key.public_key())


def _public(key: object) -> str:
    made: bytes = key.public_bytes(  # type: ignore[attr-defined] # each kind of key has it
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return made.decode()
