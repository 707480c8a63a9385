"""A backup brings everything back, into either kind of database, or nothing at all."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from bty_web import database
from bty_web.errors import BackupBroken, ServerRunning
from bty_web.models import Attempt, Base, Job, Machine
from bty_web.models.words import AttemptMode, JobState, State, Trigger
from bty_web.services import backups, keys, statefolder
from bty_web.services.restoring import restore
from bty_web.settings import Settings
from tests.web.site import INVENTORY, NOW, Site, make_site

LATER = NOW + timedelta(days=1)


def rows(engine: Engine) -> dict[str, list[Any]]:
    """Return everything that the database holds."""
    with engine.connect() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))
            ]
            for table in Base.metadata.sorted_tables
        }


@pytest.fixture
def lived(site: Site) -> Site:
    """A server that has been in use: rows that name others, texts of all kinds, NULL in JSON."""
    site.add_image("dé\"bian'\n.img", table={"label": "gpt", "größe": [1, None]})
    number = site.add_machine()
    site.log_in()
    with site.session() as session:
        first = attempt(number, State.SUPERSEDED)
        second = attempt(number, State.DONE)
        session.add_all([first, second])
        session.flush()
        first.superseded_by = second.id  # a row that comes later
        machine = session.get_one(Machine, number)
        machine.attempt_id, machine.inventory = second.id, INVENTORY
        job = Job(kind="measure", subject="x", state=JobState.QUEUED, asked_by="bty")
        job.created_at = NOW
        session.add(job)
    return site


def attempt(machine: int, state: State) -> Attempt:
    return Attempt(
        machine_id=machine,
        revision=1,
        state=state,
        mode=AttemptMode.AUTO,
        trigger=Trigger.POLICY,
        nonce="0" * 32,
        source_bytes=0,
        disk_bytes=2**40,
        seconds=12.125,
        started_at=NOW,
        heard_at=NOW + timedelta(microseconds=1),
    )


def test_a_backup_comes_back_as_it_was(lived: Site, tmp_path: Path) -> None:
    settings, before = lived.settings, rows(lived.engine)
    key = keys.load_key(settings.state_dir)
    file = tmp_path / "bty.tar.gz"
    made = backups.make(settings, file, now=NOW)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sum(made.rows.values()) == sum(map(len, before.values()))
    assert os.listdir(tmp_path) == unordered(["state", "bty.tar.gz"])

    lived.add_image("afterwards.img")
    (settings.state_dir / keys.NAME).unlink()
    lived.engine.dispose()
    done = restore(settings, file, now=LATER)
    assert done.manifest == made
    assert rows(lived.engine) == before
    assert keys.load_key(settings.state_dir) == key
    assert done.kept == settings.state_dir / "backups/before-restore-20261102T120000Z.tar.gz"

    # New rows get numbers behind those that came back.
    lived.add_image("new.img")
    # And what was replaced can come back too.
    lived.engine.dispose()
    restore(settings, done.kept, now=LATER + timedelta(days=1))
    assert len(rows(lived.engine)["images"]) == 2


class unordered(list[str]):
    """A list that is equal to each other order of itself."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and sorted(self) == sorted(other)

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.postgresql
@pytest.mark.parametrize("way", ["into PostgreSQL", "into SQLite"])
def test_a_backup_moves_a_server_to_the_other_kind_of_database(
    way: str, tmp_path: Path, request: pytest.FixtureRequest, cluster: Any
) -> None:
    origin, target = ("sqlite", "postgresql")[:: 1 if way == "into PostgreSQL" else -1]

    site = make_site(request.getfixturevalue(f"{origin}_settings"))
    site.add_image()
    site.add_machine()
    before = rows(site.engine)
    file = tmp_path / "bty.tar.gz"
    backups.make(site.settings, file, now=NOW)
    other = replace(site.settings, state_dir=tmp_path / "other", database_url="")
    with cluster.empty(template="template1") as url:
        if target == "postgresql":
            other = replace(other, database_url=url)
        restore(other, file, now=NOW)
        engine = database.make_engine(other)
        assert rows(engine) == before
        engine.dispose()
    site.engine.dispose()


def test_while_a_server_works_nothing_is_restored(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "bty.tar.gz"
    backups.make(site.settings, file, now=NOW)
    with (
        statefolder.working(site.settings),
        pytest.raises(ServerRunning, match="a server or worker runs on"),
    ):
        restore(site.settings, file, now=NOW)
    with (
        statefolder.alone(site.settings),
        pytest.raises(ServerRunning, match="a backup is being restored"),
        statefolder.working(site.settings),
    ):
        raise AssertionError("unreachable")


def changed(file: Path, name: str, content: bytes) -> None:
    """Write a backup again with other content in one of its files."""
    with tarfile.open(file, "r:gz") as tar:
        members = {one.name: backups.content(tar, one.name).read() for one in tar}
    members[name] = content
    with tarfile.open(file, "w:gz") as tar:
        for each, data in members.items():
            info = tarfile.TarInfo(each)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("cut short", "cannot be read as a backup"),
        ("another file", "cannot be read as a backup"),
        ("no file", "is not there"),
        ("another row", "tables/users.jsonl is not what was written into it"),
        ("another key", "secret.key is not what was written into it"),
        ("a stranger", "does not hold what its manifest lists"),
        ("a newer one", "was made by a newer bty-web"),
        ("no manifest", "is no backup of bty-web"),
    ],
)
def test_a_damaged_backup_changes_nothing(
    sqlite_settings: Settings, tmp_path: Path, damage: str, said: str
) -> None:
    file = tmp_path / "bty.tar.gz"
    made = backups.make(sqlite_settings, file, now=NOW)
    before = (sqlite_settings.state_dir / "bty.db").read_bytes()
    match damage:
        case "cut short":
            file.write_bytes(file.read_bytes()[:-200])
        case "another file":
            file.write_bytes(b"hello")
        case "no file":
            file.unlink()
        case "another row":
            changed(file, "tables/users.jsonl", b'{"id": 1, "name": "eve"}\n')
        case "another key":
            changed(file, keys.NAME, b"0" * 32)
        case "a stranger":
            changed(file, "../../etc/cron.d/x", b"")
        case "a newer one":
            newer = json.dumps({**made.wire(), "revision": "9999"})
            changed(file, backups.MANIFEST, newer.encode())
        case "no manifest":
            with tarfile.open(file, "w:gz"):
                pass
    with pytest.raises(BackupBroken, match=said):
        restore(sqlite_settings, file, now=NOW)
    assert (sqlite_settings.state_dir / "bty.db").read_bytes() == before


def test_a_database_that_cannot_be_read_is_kept_too(
    sqlite_settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "bty.tar.gz"
    backups.make(sqlite_settings, file, now=NOW)
    target = sqlite_settings.state_dir / "bty.db"
    target.write_bytes(b"rubbish" * 1000)
    done = restore(sqlite_settings, file, now=NOW)
    assert done.kept is not None
    assert done.kept.read_bytes() == b"rubbish" * 1000
    engine = database.make_engine(sqlite_settings)
    assert rows(engine)["users"] == []
    engine.dispose()


def test_a_backup_that_cannot_be_written_leaves_nothing(
    sqlite_settings: Settings, tmp_path: Path
) -> None:
    from bty_core.errors import WriteFailed

    with pytest.raises(WriteFailed, match="cannot be written: No such file or directory"):
        backups.make(sqlite_settings, tmp_path / "no" / "bty.tar.gz", now=NOW)
