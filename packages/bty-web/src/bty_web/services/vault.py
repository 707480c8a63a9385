"""What is kept encrypted: secrets of operators and of attempts, with a key that lies outside the database."""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from bty_web.errors import VaultLocked
from bty_web.services import keys

NAME = "vault.key"


class Vault:
    """Seals texts and opens them again, with the key in `state_dir`; it is made where there is none.

    Raises `BrokenSetting` as `keys.load_key` does. The texts are sealed by Fernet: AES-128-CBC and HMAC-SHA-256.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / NAME
        key = keys.load_key(state_dir, NAME)
        self._fernet = Fernet(base64.urlsafe_b64encode(key[: keys.LENGTH]))

    def seal(self, text: str) -> str:
        """Return `text` encrypted."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """Return what was sealed; raise `VaultLocked` where that was done with another key."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise VaultLocked(
                f"what is kept encrypted cannot be opened with the key {self._path}",
                hint="put the key back that belongs to this database, or write the secret anew",
            ) from error
