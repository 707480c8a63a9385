"""The database: how it is opened, locked, backed up and brought up to date. Knows no Flask."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from bty_web.errors import DatabaseBroken
from bty_web.settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_SECONDS = 15.0
MOST_PAGES_AHEAD = 20_000  # of 4 KiB, in the log that is not in the database yet
_BEGIN = "bty_begin"  # an option of a connection: the statement that begins its transactions


def engine_options(url: str) -> dict[str, Any]:
    """Return how SQLAlchemy opens `url`."""
    # The last one back is the first one out: it has its statements and pages at hand.
    pool = {"pool_size": 32, "max_overflow": 0, "pool_use_lifo": True}
    if make_url(url).get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_SECONDS}, **pool}
    return {"pool_pre_ping": True, **pool}


def prepare(engine: Engine) -> None:
    """Make `engine` behave: for SQLite WAL, foreign keys, and transactions that begin where we say."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def opened(connection: Any, _: object) -> None:
        # The driver would begin a transaction by itself only at the first write, too late to lock.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            # `write_back` does it in peace; this is for when nobody does.
            f"wal_autocheckpoint={MOST_PAGES_AHEAD}",
            "foreign_keys=ON",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def began(connection: Any) -> None:
        statement = connection.get_execution_options().get(_BEGIN, "BEGIN")
        if statement is not None:
            connection.exec_driver_sql(statement)


class _Line:
    """The writers of one SQLite database, who wait for each other in all processes.

    SQLite lets whoever finds its lock taken sleep longer and longer and look again, so that a crowd of
    writers leaves the lock idle and some wait for seconds. The kernel wakes the next one at once.
    SQLite's own lock still protects the data: without this file the line is only slower.
    """

    def __init__(self, file: Path | None) -> None:
        self._threads = threading.Lock()
        self._file = -1
        if file is not None:
            with suppress(OSError):
                # Not the database itself: closing any descriptor of it would drop SQLite's locks.
                name = file.with_name(f"{file.name}-line")
                self._file = os.open(name, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @contextmanager
    def wait(self) -> Iterator[None]:
        """Be the only writer, once those before have ended; raise `OperationalError` when that takes too long."""
        if not self._threads.acquire(timeout=BUSY_SECONDS):
            why = sqlite3.OperationalError("database is locked")
            raise OperationalError("BEGIN IMMEDIATE", None, why)
        try:
            if self._file >= 0:
                fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                if self._file >= 0:
                    fcntl.flock(self._file, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def leave(self) -> None:
        """Give back the file, which a child got with everything else of its parent."""
        if self._file >= 0:
            os.close(self._file)


_LINES: dict[str, _Line] = {}


def _leave_lines() -> None:
    """Begin anew in a child: with its parent's descriptor both would be first at the same time."""
    for line in _LINES.values():
        line.leave()
    _LINES.clear()


os.register_at_fork(after_in_child=_leave_lines)


def in_line(engine: Engine) -> AbstractContextManager[None]:
    """Be the only one who writes to the database of `engine`; where that is not SQLite nobody need be."""
    if engine.dialect.name != "sqlite":
        return nullcontext()
    name = engine.url.database
    key = name or str(id(engine))
    line = _LINES.get(key)
    if line is None:
        in_file = Path(name) if name and name != ":memory:" else None
        line = _LINES.setdefault(key, _Line(in_file))
    return line.wait()


@contextmanager
def unit_of_work(engine: Engine, session: Session) -> Iterator[None]:
    """End what `session` was reading and let it write: committed at the end, undone when anything is raised."""
    session.rollback()  # a connection that is held while waiting in line is one that others wait for
    with in_line(engine):
        session.connection(execution_options={_BEGIN: "BEGIN IMMEDIATE"})
        try:
            yield
            session.commit()
        except BaseException:
            session.rollback()
            raise


def write_back(engine: Engine) -> None:
    """Bring what SQLite has in its log into the database itself, while others read and write.

    Otherwise whoever fills the log does it, and everybody waits for the disk meanwhile.
    """
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.execution_options(**{_BEGIN: None})
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").all()


def make_engine(settings: Settings) -> Engine:
    """Return an engine of its own, for programs that are not the web application."""
    engine = create_engine(settings.database, **engine_options(settings.database))
    prepare(engine)
    return engine


@contextmanager
def working(engine: Engine) -> Iterator[Session]:
    """A unit of work that writes, outside the web application: committed, or undone when anything is raised."""
    with Session(engine, expire_on_commit=False) as session, unit_of_work(engine, session):
        yield session


def sqlite_file(settings: Settings) -> Path | None:
    """Return the file of an SQLite database, or None where it is another one."""
    url = make_url(settings.database)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _config(engine: Engine) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["engine"] = engine
    return config


def upgrade(settings: Settings) -> None:
    """Bring the database to the tables of this version; an SQLite one is copied to backups/ before.

    Raises `DatabaseBroken` when it cannot be reached or changed, or was made by a newer version.
    """
    engine = make_engine(settings)
    try:
        with engine.connect() as connection:
            now = MigrationContext.configure(connection).get_current_revision()
        script = ScriptDirectory.from_config(_config(engine))
        newest = script.get_current_head()
        if now == newest:
            return
        if now is not None:
            known = {revision.revision for revision in script.walk_revisions()}
            if now not in known:
                raise DatabaseBroken(
                    f"the database was made by a newer bty-web (its revision is {now})",
                    hint="install that version, or restore a backup that this one made",
                )
            _copy_aside(settings, now)
        command.upgrade(_config(engine), "head")
    except SQLAlchemyError as error:
        raise broken(settings, error) from error
    finally:
        engine.dispose()


def broken(settings: Settings, error: BaseException) -> DatabaseBroken:
    """Return the failure to say when the database of `settings` raises `error`."""
    where = make_url(settings.database).render_as_string(hide_password=True)
    why = " ".join(str(getattr(error, "orig", None) or error).split())
    return DatabaseBroken(
        f"the database {where} cannot be used: {why[:300]}",
        hint="check BTY_DATABASE_URL, that the server runs and that its disk is writable",
    )


def _copy_aside(settings: Settings, revision: str) -> None:
    file = sqlite_file(settings)
    if file is None or not file.exists():
        return
    folder = settings.state_dir / "backups"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    copy_sqlite(file, folder / f"before-upgrade-from-{revision}-{stamp}.db")


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database that may be in use to `target`, whole or not at all, readable by its owner only."""
    partial = target.with_name(f".{target.name}.part-{os.getpid()}")
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as reader,
            closing(sqlite3.connect(partial)) as writer,
        ):
            reader.backup(writer)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(target)
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise DatabaseBroken(f"{source} cannot be copied to {target}: {error}") from error
