"""A server for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bty_web import database
from bty_web.settings import Settings
from tests.web.site import Site, make_site


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables and no rows, made once."""
    settings = Settings(state_dir=tmp_path_factory.mktemp("template"))
    database.upgrade(settings)
    return settings.state_dir / "bty.db"


@pytest.fixture
def server_settings(tmp_path: Path, empty_database: Path) -> Settings:
    """Settings of one server, its folders made."""
    settings = Settings(state_dir=tmp_path / "state")
    for folder in (
        settings.state_dir,
        settings.image_root,
        settings.boot_dir,
        settings.tftp_root,
        settings.dnsmasq_dir,
    ):
        folder.mkdir(mode=0o700, parents=True)
    shutil.copyfile(empty_database, settings.state_dir / "bty.db")
    return settings


@pytest.fixture
def site(server_settings: Settings) -> Iterator[Site]:
    """A whole server with an empty database."""
    made = make_site(server_settings)
    yield made
    made.engine.dispose()
    with made.app.app_context():
        from bty_web.extensions import db

        db.engine.dispose()
