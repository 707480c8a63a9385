"""What is kept encrypted opens with its key alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from bty_web.errors import BrokenSetting, VaultLocked
from bty_web.services.vault import NAME, Vault


def test_what_was_sealed_is_opened_by_another_process_with_the_same_key(tmp_path: Path) -> None:
    sealed = Vault(tmp_path).seal("swordfish \N{SNOWMAN}")
    assert "swordfish" not in sealed
    assert Vault(tmp_path).open(sealed) == "swordfish \N{SNOWMAN}"
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


def test_the_same_text_is_sealed_differently_each_time(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    assert vault.seal("swordfish") != vault.seal("swordfish")


def test_another_key_opens_nothing_and_the_message_says_what_to_do(tmp_path: Path) -> None:
    sealed = Vault(tmp_path / "one").seal("swordfish")
    with pytest.raises(VaultLocked) as caught:
        Vault(tmp_path / "two").open(sealed)
    assert str(tmp_path / "two" / NAME) in caught.value.message
    assert caught.value.hint == (
        "put the key back that belongs to this database, or write the secret anew"
    )


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    Vault(tmp_path)
    (tmp_path / NAME).chmod(0o644)
    with pytest.raises(BrokenSetting, match="can be read by others"):
        Vault(tmp_path)
