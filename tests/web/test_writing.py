"""Writers in line, in one process and across several, and statements without the layers between."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
import typing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, Table, bindparam, create_engine, select, update
from sqlalchemy.exc import DBAPIError, OperationalError

from bty_core.values import MacAddress
from bty_web import database, direct
from bty_web.models import Machine
from bty_web.models.words import Policy
from bty_web.services import contacts
from bty_web.services.machines import Seen
from bty_web.settings import Settings
from tests.web.site import NOW, Site

MAC = MacAddress.parse("52:54:00:00:00:01")
MACHINES = typing.cast(Table, Machine.__table__)
ALL = direct.Statement(select(MACHINES).where(MACHINES.c.mac == bindparam("mac")))
RENAME = direct.Statement(
    update(MACHINES)
    .where(MACHINES.c.mac == bindparam("which"))
    .values(name=bindparam("called"), last_seen_at=bindparam("seen"))
    .returning(MACHINES.c.id)
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    settings = Settings(state_dir=tmp_path)
    database.upgrade(settings)
    engine = database.make_engine(settings)
    yield engine
    engine.dispose()


def add(engine: Engine) -> None:
    with database.working(engine) as session:
        session.add(Machine(mac=MAC.text, boot_policy=Policy.TUI, discovered_at=NOW, changed=1))


def test_a_writer_waits_for_one_in_another_process(engine: Engine, tmp_path: Path) -> None:
    add(engine)
    (line,) = tmp_path.glob("*-line")
    held = os.open(line, os.O_RDONLY)  # as another process would
    fcntl.flock(held, fcntl.LOCK_EX)

    def write() -> None:
        with database.working(engine):
            pass

    writing = threading.Thread(target=write, daemon=True)
    writing.start()
    writing.join(0.3)
    assert writing.is_alive()
    os.close(held)
    writing.join(5)
    assert not writing.is_alive()


FORKS = """
import os, sys, time
from pathlib import Path
from bty_web import database
from bty_web.settings import Settings

engine = database.make_engine(Settings(state_dir=Path(sys.argv[1])))
with database.in_line(engine):
    child = os.fork()
    if not child:
        with database.in_line(engine):
            Path(sys.argv[1], "seen").write_text(str(time.monotonic()))
        os._exit(0)
    time.sleep(0.3)
    ends = time.monotonic()
os.waitpid(child, 0)
assert float(Path(sys.argv[1], "seen").read_text()) >= ends
"""


def test_a_child_waits_for_its_parent(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FORKS, str(tmp_path)], check=True, timeout=60)


def test_without_the_file_of_the_line_writing_works(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    (tmp_path / "bty.db-line").mkdir()  # cannot be opened to be locked in the usual way
    (tmp_path / "bty.db-line/in-use").touch()
    database.upgrade(settings)
    engine = database.make_engine(settings)
    add(engine)
    engine.dispose()


def test_waiting_too_long_is_an_error(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    with (
        database.in_line(engine),
        pytest.raises(OperationalError, match="database is locked"),
        database.in_line(engine),
    ):
        pass
    with database.in_line(engine):  # the failure left nothing behind
        pass


def test_what_is_raised_undoes_what_was_written(engine: Engine) -> None:
    add(engine)
    written = []
    with suppress(ZeroDivisionError), direct.writing(engine) as connection:
        written = RENAME.rows(connection, which=MAC.text, called="x", seen=NOW)
        raise ZeroDivisionError
    assert len(written) == 1
    with direct.reading(engine) as connection:
        (row,) = ALL.rows(connection, mac=MAC.text)
    assert row.name is None
    with direct.writing(engine) as connection:
        assert RENAME.rows(connection, which=MAC.text, called="y", seen=NOW)


def test_a_failure_of_the_database_is_named_as_elsewhere(engine: Engine) -> None:
    with direct.reading(engine) as connection, pytest.raises(DBAPIError, match="no such table"):
        connection.plainly("SELECT * FROM nowhere")


def test_a_statement_gives_the_same_both_ways(site: Site) -> None:
    add(site.engine)
    with direct.writing(site.engine) as connection:
        (changed,) = RENAME.rows(connection, which=MAC.text, called="r1", seen=NOW)
        assert RENAME.rows(connection, which="none", called="r2", seen=NOW) == []
    with direct.reading(site.engine) as connection:
        (straight,) = ALL.rows(connection, mac=MAC.text)
    with site.engine.connect() as connected:
        (through,) = connected.execute(ALL.clause, {"mac": MAC.text})
    assert straight._asdict() == through._asdict()
    assert (straight.id, straight.name, straight.last_seen_at) == (changed.id, "r1", NOW)
    assert straight.boot_policy is Policy.TUI


def test_a_crowd_needs_no_more_connections_than_there_are(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    database.upgrade(settings)
    engine = create_engine(settings.database, pool_size=1, max_overflow=0, pool_timeout=10)
    database.prepare(engine)
    began = time.monotonic()

    def come(number: int) -> None:
        mac = MacAddress.parse(f"52:54:00:00:01:{number:02x}")
        for _ in range(3):
            contacts.contact(
                engine,
                mac,
                Seen(address="192.0.2.1"),
                default_policy=Policy.TUI,
                grace=timedelta(seconds=60),
                key=b"k" * 32,
                now=NOW,
            )

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(come, range(32)))
    assert time.monotonic() - began < 10
    engine.dispose()
