"""Migrations: models and tables agree, an older database is copied before it changes, a newer one is refused."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, text

from bty_web import database
from bty_web.errors import DatabaseBroken
from bty_web.models import Base
from bty_web.services import backups, preferences
from bty_web.services.restoring import restore
from bty_web.settings import Settings
from tests.web.site import NOW, OPERATOR, Site

NEWER = '''"""Add a table."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "test2", "{newest}"


def upgrade() -> None:
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
    {more}
'''


@contextmanager
def reached(settings: Settings) -> Iterator[Engine]:
    engine = database.make_engine(settings)
    try:
        yield engine
    finally:
        engine.dispose()


def revision(settings: Settings) -> str | None:
    with reached(settings) as engine, engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


@pytest.fixture
def add_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Add a migration after the newest one, in a copy of the folder."""
    copy = tmp_path / "migrations"
    shutil.copytree(database.MIGRATIONS, copy)
    newest = max(path.stem.split("_")[0].removeprefix("v") for path in copy.glob("versions/v*.py"))

    def add(more: str = "") -> None:
        (copy / "versions/test2.py").write_text(NEWER.format(newest=newest, more=more))
        monkeypatch.setattr(database, "MIGRATIONS", copy)

    return add


def test_models_and_migrations_agree(server_settings: Settings) -> None:
    with reached(server_settings) as engine, engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


def test_a_database_that_is_up_to_date_is_left_alone(sqlite_settings: Settings) -> None:
    database.upgrade(sqlite_settings)
    assert not (sqlite_settings.state_dir / "backups").exists()


def test_an_older_database_is_copied_before_it_changes(
    server_settings: Settings, add_migration: Callable[..., None]
) -> None:
    before = revision(server_settings)
    add_migration()
    database.upgrade(server_settings)
    assert revision(server_settings) == "test2"
    copies = list(server_settings.state_dir.glob("backups/*"))
    if server_settings.database_url:
        assert copies == []
        return
    (copy,) = copies
    assert copy.name.startswith(f"before-upgrade-from-{before}-")
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            (before,)
        ]


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    server_settings: Settings, add_migration: Callable[..., None]
) -> None:
    before = revision(server_settings)
    add_migration('op.execute("SELECT no_such_thing FROM nowhere")')
    with pytest.raises(DatabaseBroken, match=r"cannot be used: .*nowhere"):
        database.upgrade(server_settings)
    assert revision(server_settings) == before
    with reached(server_settings) as engine, engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Base.metadata) == []


def test_a_backup_of_an_older_version_is_brought_up_to_date(
    server_settings: Settings, add_migration: Callable[..., None], tmp_path: Path
) -> None:
    before = revision(server_settings)
    made = backups.make(server_settings, tmp_path / "bty.tar.gz", now=NOW)
    add_migration()
    restore(server_settings, tmp_path / "bty.tar.gz", now=NOW)
    assert (made.revision, revision(server_settings)) == (before, "test2")


CHANGED = """op.add_column("machines", sa.Column("rack", sa.String(40), server_default="?", nullable=False))
    with op.batch_alter_table("machines") as table:
        table.alter_column("notes", new_column_name="remarks")
    op.execute("UPDATE preferences SET value = 'tui' WHERE name = 'default_policy'")"""


def test_machines_and_settings_come_through_a_change_of_their_tables(
    site: Site, add_migration: Callable[..., None], tmp_path: Path
) -> None:
    number = site.add_machine(name="build-7", notes="by the door", boot_policy="local")
    with site.session() as session:
        kept = {"default_policy": "local", "flash_limit": "7"}
        preferences.change(session, site.settings, kept, by=OPERATOR, now=NOW)
    backups.make(site.settings, tmp_path / "bty.tar.gz", now=NOW)
    site.engine.dispose()
    add_migration(CHANGED)
    restore(site.settings, tmp_path / "bty.tar.gz", now=NOW)
    with reached(site.settings) as engine, engine.connect() as connection:
        machines = connection.execute(
            text("SELECT id, name, remarks, boot_policy, rack FROM machines")
        )
        assert machines.all() == [(number, "build-7", "by the door", "local", "?")]
        kept_now = connection.execute(text("SELECT name, value FROM preferences ORDER BY name"))
        assert kept_now.all() == [("default_policy", "tui"), ("flash_limit", "7")]


def test_a_newer_database_is_refused_and_not_touched(server_settings: Settings) -> None:
    with reached(server_settings) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseBroken) as caught:
        database.upgrade(server_settings)
    assert (caught.value.message, caught.value.hint) == (
        "the database was made by a newer bty-web (its revision is 9999)",
        "install that version, or restore a backup that this one made",
    )
    assert revision(server_settings) == "9999"
    assert not (server_settings.state_dir / "backups").exists()


def test_a_database_that_cannot_be_reached_is_named_without_its_password(tmp_path: Path) -> None:
    url = "postgresql+psycopg://me:sesame@127.0.0.1:1/bty"
    with pytest.raises(DatabaseBroken) as caught:
        database.upgrade(Settings(state_dir=tmp_path, database_url=url))
    assert caught.value.message.startswith(
        "the database postgresql+psycopg://me:***@127.0.0.1:1/bty cannot be used: "
    )
    assert "sesame" not in caught.value.message
