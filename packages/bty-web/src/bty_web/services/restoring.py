"""Bringing a backup back: into SQLite beside the present file, into PostgreSQL in one transaction."""

from __future__ import annotations

import os
import tarfile
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, MetaData, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from bty_core.errors import BtyError, WriteFailed
from bty_web import database
from bty_web.errors import DatabaseBroken
from bty_web.services import backups, keys, statefolder, vault
from bty_web.services.backups import Manifest
from bty_web.settings import Settings


@dataclass(frozen=True, slots=True)
class _Within:
    """An engine, as migrations ask for it, whose one connection is in a transaction already."""

    connection: Connection

    def connect(self) -> AbstractContextManager[Connection]:
        return nullcontext(self.connection)


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    manifest: Manifest
    kept: Path | None  # what was there before


def restore(settings: Settings, file: Path, *, now: datetime) -> Restored:
    """Replace database and key by those of a backup. What was there before is kept in ``backups/``.

    Raises `ServerRunning`, `BackupBroken`, `DatabaseBroken` or `WriteFailed`; then everything is as it was.
    """
    statefolder.make(settings)
    with statefolder.alone(settings), backups.read(file) as (manifest, tar):
        backups.known_revision(manifest)
        names = [name for name in (keys.NAME, vault.NAME) if name in manifest.sha256]
        kept = _keep(settings, now, secrets=vault.NAME in names)
        target = database.sqlite_file(settings)
        try:
            if target is None:
                _into(settings, manifest, tar, drop=True)
            else:
                _into_file(settings, target, manifest, tar)
            for name in names:
                _replace_key(settings.state_dir / name, backups.content(tar, name).read())
        except SQLAlchemyError as error:
            raise database.broken(settings, error) from error
        except OSError as error:
            raise WriteFailed(f"the backup cannot be restored: {error}") from error
    return Restored(manifest, kept)


def _keep(settings: Settings, now: datetime, *, secrets: bool) -> Path | None:
    """Back the present state up, or move a database aside that cannot be read."""
    folder = settings.state_dir / "backups"
    folder.mkdir(mode=0o700, exist_ok=True)
    name = f"before-restore-{now.strftime('%Y%m%dT%H%M%SZ')}"
    target = database.sqlite_file(settings)
    if target is not None and not target.exists():
        return None
    try:
        backups.make(settings, folder / f"{name}.tar.gz", now=now, secrets=secrets)
        return folder / f"{name}.tar.gz"
    except BtyError:
        if target is None:
            if _is_empty(settings):
                return None
            raise
        _link_aside(target, folder / f"{name}.db")
        return folder / f"{name}.db"


def _is_empty(settings: Settings) -> bool:
    engine = database.make_engine(settings)
    try:
        with engine.connect() as connection:
            return not backups.tables(connection)
    except SQLAlchemyError as error:
        raise database.broken(settings, error) from error
    finally:
        engine.dispose()


def _link_aside(target: Path, aside: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.link(f"{target}{suffix}", f"{aside}{suffix}")


def _into_file(settings: Settings, target: Path, manifest: Manifest, tar: tarfile.TarFile) -> None:
    partial = target.with_name(f".{target.name}.restore-{os.getpid()}")
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        _into(replace(settings, database_url=f"sqlite:///{partial}"), manifest, tar, drop=False)
        # What the present one has in its log would be read as if it were the new one's.
        for suffix in ("-wal", "-shm"):
            Path(f"{target}{suffix}").unlink(missing_ok=True)
        partial.replace(target)
    finally:
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                Path(f"{partial}{suffix}").unlink(missing_ok=True)


def _into(settings: Settings, manifest: Manifest, tar: tarfile.TarFile, *, drop: bool) -> None:
    engine = database.make_engine(settings)
    try:
        with engine.begin() as connection:
            if drop:
                metadata = MetaData()
                metadata.reflect(connection)
                metadata.drop_all(connection)
            _migrate(connection, manifest.revision)
            backups.load(connection, manifest, tar)
            _count(connection, manifest)
            _migrate(connection, "head")
            _continue_numbers(connection)
        _settle(engine)
    finally:
        engine.dispose()


def _migrate(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS).replace("%", "%%"))
    config.attributes["engine"] = _Within(connection)
    command.upgrade(config, revision)


def _count(connection: Connection, manifest: Manifest) -> None:
    there = {table.name: table for table in backups.tables(connection)}
    for name, wanted in manifest.rows.items():
        found = (
            connection.scalar(select(func.count()).select_from(there[name]))
            if name in there
            else "no"
        )
        if found != wanted:
            raise DatabaseBroken(f"{name} has {found} rows after the restore, not {wanted}")


def _continue_numbers(connection: Connection) -> None:
    """Let PostgreSQL number new rows after those that were restored with their numbers."""
    if connection.dialect.name != "postgresql":
        return
    for table in backups.tables(connection):
        column = table.primary_key.columns.values()[0]
        if column.type.python_type is int:
            sequence = "pg_get_serial_sequence(:name, :key)"
            newest = f'SELECT setval({sequence}, MAX("{column.name}")) FROM "{table.name}"'
            connection.execute(text(newest), {"name": table.name, "key": column.name})


def _settle(engine: Engine) -> None:
    """Write what SQLite keeps in its log into the file that is about to be moved."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _replace_key(path: Path, key: bytes) -> None:
    partial = path.with_name(f".{path.name}.restore-{os.getpid()}")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
