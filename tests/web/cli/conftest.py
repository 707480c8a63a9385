"""A server whose settings stand in the environment, as for every command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bty_web.settings import PREFIX, Settings


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder that is not there yet; no other setting."""
    for name in list(os.environ):
        if name.startswith(PREFIX) and name not in ("BTY_REQUIRE", "BTY_COUNTS"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BTY_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def settings(server_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A server that is set up, on each kind of database."""
    monkeypatch.setenv("BTY_STATE_DIR", str(server_settings.state_dir))
    if server_settings.database_url:
        monkeypatch.setenv("BTY_DATABASE_URL", server_settings.database_url)
    return server_settings
