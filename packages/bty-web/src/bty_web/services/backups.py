"""Backups: one file with the rows of every table, the key, and digests of both.

Rows, not a copy of the database's own file: the same backup can be restored into SQLite and into PostgreSQL. Images
and the live environment are not in it: they are files, which can be copied as they are.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, DateTime, MetaData, Table, select
from sqlalchemy.exc import SQLAlchemyError

from bty_core.errors import WriteFailed
from bty_web import __version__, database
from bty_web.errors import BackupBroken, DatabaseBroken
from bty_web.services import keys, vault
from bty_web.settings import Settings

FORMAT = 1
MANIFEST = "manifest.json"
_REVISIONS = "alembic_version"
_BATCH = 1000  # rows
_MOST_MANIFEST = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself."""

    version: str  # of bty-web
    revision: str  # of the database
    made_at: datetime
    rows: dict[str, int]  # of each table
    sha256: dict[str, str]  # of each file in it

    def wire(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "format": FORMAT,
            "version": self.version,
            "revision": self.revision,
            "made_at": self.made_at.isoformat(),
            "rows": self.rows,
            "sha256": self.sha256,
        }


def member(table: str) -> str:
    """Return the name that the rows of a table have in a backup."""
    return f"tables/{table}.jsonl"


def make(settings: Settings, file: Path, *, now: datetime, secrets: bool = False) -> Manifest:
    """Write a backup to `file`, whole or not at all, readable by its owner only. The server may go on working.

    With `secrets` it also has the key that opens what the database keeps encrypted.

    Raises `DatabaseBroken`, `BrokenSetting` or `WriteFailed`.
    """
    names = (keys.NAME, vault.NAME) if secrets else (keys.NAME,)
    loaded = {name: keys.load_key(settings.state_dir, name) for name in names}
    partial = file.with_name(f".{file.name}.part-{os.getpid()}")
    engine = database.make_engine(settings)
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as raw:
            with (
                engine.connect().execution_options(**_snapshot(engine.dialect.name)) as connection,
                tarfile.open(fileobj=raw, mode="w:gz", compresslevel=6) as tar,
            ):
                made = _write(connection, tar, loaded, now)
            raw.flush()
            os.fsync(raw.fileno())
        partial.replace(file)
    except OSError as error:
        raise WriteFailed(f"{file} cannot be written: {error.strerror or error}") from error
    except SQLAlchemyError as error:
        raise database.broken(settings, error) from error
    finally:
        engine.dispose()
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return made


def _snapshot(dialect: str) -> dict[str, Any]:
    """Return how all tables are read as they were at one moment; with SQLite a transaction is that already."""
    return {} if dialect == "sqlite" else {"isolation_level": "REPEATABLE READ"}


def _write(
    connection: Connection, tar: tarfile.TarFile, loaded: dict[str, bytes], now: datetime
) -> Manifest:
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None:
        raise DatabaseBroken("there is no database yet", hint="make it first: bty-web init")
    rows: dict[str, int] = {}
    digests: dict[str, str] = {}
    for table in tables(connection):
        # The size of a member stands before its content.
        with tempfile.TemporaryFile() as lines:
            rows[table.name] = _dump(connection, table, lines)
            digests[member(table.name)] = _add(tar, member(table.name), lines, now)
    for name, key in loaded.items():
        digests[name] = _add(tar, name, io.BytesIO(key), now)
    made = Manifest(__version__, revision, now, rows, digests)
    text = json.dumps(made.wire(), indent=1).encode()
    _add(tar, MANIFEST, io.BytesIO(text), now)
    return made


def tables(connection: Connection) -> list[Table]:
    """Return the tables as they are, in an order in which rows can be added."""
    metadata = MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name != _REVISIONS]


def _dump(connection: Connection, table: Table, into: IO[bytes]) -> int:
    number = 0
    query = select(table).order_by(*table.primary_key.columns)
    for row in connection.execute(query).yield_per(_BATCH).mappings():
        values = {name: _plain(value) for name, value in row.items()}
        into.write(json.dumps(values, ensure_ascii=False).encode() + b"\n")
        number += 1
    return number


def _plain(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    return (value.replace(tzinfo=UTC) if value.tzinfo is None else value).isoformat()


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes], now: datetime) -> str:
    info = tarfile.TarInfo(name)
    info.size = content.seek(0, os.SEEK_END)
    info.mode, info.mtime = 0o600, int(now.timestamp())
    content.seek(0)
    digest = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
    content.seek(0)
    tar.addfile(info, content)
    return digest


@contextmanager
def read(file: Path) -> Iterator[tuple[Manifest, tarfile.TarFile]]:
    """Open a backup whose every byte agrees with its manifest; raise `BackupBroken` for any other file."""
    try:
        with tarfile.open(file, "r:gz") as tar:
            manifest = _manifest(file, tar)
            for name, wanted in manifest.sha256.items():
                found = hashlib.file_digest(content(tar, name), "sha256")  # type: ignore[arg-type]
                if found.hexdigest() != wanted:
                    raise BackupBroken(f"{file}: {name} is not what was written into it")
            yield manifest, tar
    except FileNotFoundError:
        raise BackupBroken(f"{file} is not there") from None
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BackupBroken(
            f"{file} cannot be read as a backup: {error}",
            hint="it may be cut short; take another backup",
        ) from error


def _manifest(file: Path, tar: tarfile.TarFile) -> Manifest:
    foreign = BackupBroken(f"{file} is no backup of bty-web")
    names = set(tar.getnames())
    if MANIFEST not in names:
        raise foreign
    try:
        given = json.loads(content(tar, MANIFEST).read(_MOST_MANIFEST))
        if given["format"] != FORMAT:
            raise BackupBroken(
                f"{file} was made by a newer bty-web ({given['version']})",
                hint="install that version",
            )
        found = Manifest(
            version=str(given["version"]),
            revision=str(given["revision"]),
            made_at=datetime.fromisoformat(given["made_at"]),
            rows={str(name): int(number) for name, number in given["rows"].items()},
            sha256={str(name): str(digest) for name, digest in given["sha256"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise foreign from error
    wanted = {MANIFEST, keys.NAME, *map(member, found.rows)}
    wanted |= {vault.NAME} & found.sha256.keys()
    if names != wanted or set(found.sha256) != wanted - {MANIFEST}:
        raise BackupBroken(f"{file} does not hold what its manifest lists")
    return found


def content(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    """Return the bytes of one file of a backup."""
    found = tar.extractfile(name)
    if found is None:
        raise BackupBroken(f"{name} in the backup is no regular file")
    return found


def known_revision(manifest: Manifest) -> None:
    """Raise `BackupBroken` for a backup of a database that this version does not know."""
    script = ScriptDirectory(str(database.MIGRATIONS))
    if manifest.revision not in {one.revision for one in script.walk_revisions()}:
        raise BackupBroken(
            f"the backup was made by a newer bty-web ({manifest.version}, revision {manifest.revision})",
            hint="install that version",
        )


def load(connection: Connection, manifest: Manifest, tar: tarfile.TarFile) -> None:
    """Add all rows of a backup to empty tables of its revision."""
    for table in tables(connection):
        if table.name in manifest.rows:
            _load(connection, table, content(tar, member(table.name)))


def _load(connection: Connection, table: Table, lines: IO[bytes]) -> None:
    for column in table.columns:
        if hasattr(column.type, "none_as_null"):  # JSON: nothing stays nothing
            column.type.none_as_null = True
    # A row may name a later one of its own table: those references follow when all rows are there.
    own = [key.parent.name for key in table.foreign_keys if key.column.table is table]
    later: list[tuple[Any, dict[str, Any]]] = []
    batch: list[dict[str, Any]] = []
    for line in lines:
        row = _typed(json.loads(line), table, naive=connection.dialect.name == "sqlite")
        held = {name: row[name] for name in own if row.get(name) is not None}
        if held:
            later.append((row["id"], held))
            row.update(dict.fromkeys(held))
        batch.append(row)
        if len(batch) >= _BATCH:
            connection.execute(table.insert(), batch)
            batch = []
    if batch:
        connection.execute(table.insert(), batch)
    for number, values in later:
        connection.execute(table.update().where(table.c.id == number).values(values))


def _typed(row: dict[str, Any], table: Table, *, naive: bool) -> dict[str, Any]:
    """Return a row with its times as the database wants them; SQLite knows no time zones."""
    for name, value in row.items():
        if value is not None and isinstance(table.c[name].type, DateTime):
            at = datetime.fromisoformat(value).astimezone(UTC)
            row[name] = at.replace(tzinfo=None) if naive else at
    return row
