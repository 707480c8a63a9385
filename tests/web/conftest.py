"""A server for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bty_core.values import GIB
from bty_web import database
from bty_web.settings import Settings
from tests.web import postgres
from tests.web.site import Site, make_site


@pytest.fixture(autouse=True)
def roomy_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server's disk have room, however full this computer's own is."""

    def usage(path: Path) -> SimpleNamespace:
        path.stat()  # a folder that is not there has no disk
        return SimpleNamespace(total=800 * GIB, used=200 * GIB, free=600 * GIB)

    monkeypatch.setattr(shutil, "disk_usage", usage)


BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables and no rows, made once."""
    settings = Settings(state_dir=tmp_path_factory.mktemp("template"))
    database.upgrade(settings)
    return settings.state_dir / "bty.db"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Cluster]:
    """A PostgreSQL of our own, started for the first test that asks for it."""
    with postgres.running() as made:
        made.prepare(tmp_path_factory.mktemp("postgresql"))
        yield made


@pytest.fixture
def sqlite_settings(tmp_path: Path, empty_database: Path) -> Settings:
    """Settings of one server on SQLite, its folders made."""
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
def postgresql_settings(sqlite_settings: Settings, cluster: postgres.Cluster) -> Iterator[Settings]:
    """Settings of one server on PostgreSQL."""
    (sqlite_settings.state_dir / "bty.db").unlink()
    with cluster.empty() as url:
        yield replace(sqlite_settings, database_url=url)


@pytest.fixture(params=BOTH)
def server_settings(request: pytest.FixtureRequest) -> Settings:
    """Settings of one server, on each kind of database in turn."""
    settings: Settings = request.getfixturevalue(f"{request.param}_settings")
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
