"""A private PostgreSQL for tests: Debian's programs, a folder of its own, a Unix socket, no port, nothing kept."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from bty_web import database
from bty_web.settings import Settings

PATIENCE = 60.0  # seconds to start or stop, on a machine that does other things too
TEMPLATE = "empty"
# Nothing here has to survive: what it is for is quick.
OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "autovacuum": "off",
}


def programs() -> Path | None:
    """Return the folder of the newest PostgreSQL server that Debian installed."""
    found = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = sorted(found, key=lambda path: float(path.parts[-3]))
    return newest[-1].parent if newest else None


class Cluster:
    """A running PostgreSQL; each test gets a database of its own, with all tables and no rows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = count(1)

    def url(self, name: str) -> str:
        """Return the address of a database, as BTY_DATABASE_URL takes it."""
        return f"postgresql+psycopg://bty@/{name}?host={self.folder}"

    @contextmanager
    def empty(self, *, template: str = TEMPLATE) -> Iterator[str]:
        """Give the address of a new database, made like `template`."""
        name = f"test_{next(self._numbers)}"
        self._order("CREATE DATABASE {} TEMPLATE {}", name, template)
        try:
            yield self.url(name)
        finally:
            self._order("DROP DATABASE {} WITH (FORCE)", name)

    def prepare(self, state_dir: Path) -> None:
        """Make the template, by the migrations."""
        self._order("CREATE DATABASE {}", TEMPLATE)
        database.upgrade(Settings(state_dir=state_dir, database_url=self.url(TEMPLATE)))

    def _order(self, order: str, *names: str) -> None:
        with psycopg.connect(
            f"host={self.folder} user=bty dbname=postgres", autocommit=True
        ) as connection:
            connection.execute(sql.SQL(order).format(*map(sql.Identifier, names)))


@contextmanager
def running() -> Iterator[Cluster]:
    """Run a PostgreSQL until the block is left, or until this process ends in whatever way."""
    found = programs()
    assert found is not None
    # Not below pytest's folder: the path of a Unix socket is at most 107 characters long.
    folder = Path(tempfile.mkdtemp(prefix="bty-pg-"))
    try:
        become = _unprivileged(folder)
        data = folder / "data"
        made = [
            f"{found}/initdb",
            f"--pgdata={data}",
            "--username=bty",
            "--auth=trust",
            "--no-sync",
        ]
        subprocess.run(
            [*become, *made, "--encoding=UTF8", "--locale=C"],
            check=True,
            capture_output=True,
            timeout=PATIENCE,
            cwd="/",
        )
        options = [f"--{name}={value}" for name, value in OPTIONS.items()]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*become, found / "postgres", "-D", data, "-k", folder, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
            )
        try:
            cluster = Cluster(folder)
            _wait(process, folder)
            yield cluster
        finally:
            try:
                process.send_signal(signal.SIGINT)  # without waiting for whoever is still connected
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged(folder: Path) -> list[str]:
    """Return the words before a program: PostgreSQL refuses root, and has to end with us."""
    words = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() != 0:
        return words
    users = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    os.chown(folder, user.pw_uid, user.pw_gid)
    return [*words, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]


def _wait(process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            psycopg.connect(f"host={folder} user=bty dbname=postgres").close()
        except psycopg.OperationalError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"PostgreSQL did not start: {(folder / 'log').read_text()}")
