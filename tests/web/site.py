"""A whole server inside a test: settings of its own, a database that is up to date, a client that asks it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from bty_core.values import MacAddress
from bty_web import database
from bty_web.app import create_app
from bty_web.models import Image, Machine
from bty_web.models.words import ImageState, Policy
from bty_web.services import machines, users, workflows
from bty_web.services.assignments import Change, change
from bty_web.services.history import Actor
from bty_web.settings import Settings
from tests.fakes.bundles import tar

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
MAC = MacAddress.parse("52:54:00:12:34:56")
OPERATOR = Actor("operator", "192.0.2.1")
PASSWORD = "correct horse battery"
HASHED = generate_password_hash(PASSWORD)  # slow on purpose, so once
INVENTORY: dict[str, Any] = {
    "disks": [
        {
            "path": "/dev/nvme0n1",
            "size_bytes": 512 * 10**9,
            "serial": "S5Y1",
            "wwn": None,
            "model": "Samsung SSD 980",
            "transport": "nvme",
            "removable": False,
        },
        {
            "path": "/dev/sda",
            "size_bytes": 32 * 10**9,
            "serial": "USB1",
            "model": "Stick",
            "transport": "usb",
            "removable": True,
        },
    ],
    "nics": [{"name": "eno1", "mac": str(MAC)}],
    "cpu": "Test CPU",
    "memory_bytes": 16 * 2**30,
    "firmware": "uefi",
}


class _Compiled(BytecodeCache):
    """Templates, compiled once for all servers of this process."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket, if there is something for it and its source is the same."""
        if bucket.key in self.kept:
            bucket.bytecode_from_string(self.kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled."""
        self.kept[bucket.key] = bucket.bytecode_to_string()


COMPILED = _Compiled()


@dataclass
class Site:
    """One server. `session()` is for looking and preparing beside the requests."""

    settings: Settings
    app: Flask
    client: FlaskClient
    engine: Engine

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A unit of work that writes, committed at its end."""
        with database.working(self.engine) as session:
            yield session

    def add_image(self, name: str = "debian.img", **values: Any) -> None:
        """Put a measured image into the catalog's table; no file."""
        with self.session() as session:
            fields: dict[str, Any] = {
                "name": name,
                "state": ImageState.READY,
                "size_bytes": 1000,
                "stamp": "1",
                "format": "raw",
                "virtual_size_bytes": 1000,
                "sha256": "a" * 64,
                "warnings": [],
                "added_at": NOW,
            }
            session.add(Image(**{**fields, **values}))

    def add_workflow(self, name: str, files: Mapping[str, str]) -> None:
        """Keep a workflow, as an upload does."""
        with self.session() as session:
            checked = workflows.check(tar(files))
            workflows.add(session, self.settings.state_dir, name, checked, by=OPERATOR, now=NOW)

    def add_machine(self, mac: MacAddress = MAC, **assigned: str | None) -> int:
        """Add a machine by hand, assigned as `Change.of` takes it; return its id."""
        with self.session() as session:
            machine = machines.add(session, mac, policy=Policy.TUI, now=NOW)
            change(session, machine, Change.of(**assigned), by=OPERATOR, now=NOW)
            return machine.id

    def machine(self, mac: MacAddress = MAC) -> Machine:
        """Return a machine as it is now."""
        with self.session() as session:
            found = machines.get(session, mac)
            session.expunge(found)
            return found

    def log_in(self, name: str = "operator") -> None:
        """Let the client be a person who has logged in, without the login page."""
        with self.session() as session:
            with patch.object(users, "generate_password_hash", lambda _: HASHED):
                user = users.create(session, name, PASSWORD, by=OPERATOR, now=NOW)
            kept = user.get_id()
        with self.client.session_transaction("/ui/") as cookie:
            cookie["_user_id"] = kept
            cookie["_fresh"] = True

    def contact(self, mac: MacAddress = MAC, query: str = "", **said: Any) -> str:
        """Return the script that firmware gets."""
        answer = self.client.get(f"/pxe/{mac.hyphens}{query}", **said)
        assert answer.status_code == 200
        return answer.get_data(as_text=True)

    def report(
        self, what: str, token: str, body: object, mac: MacAddress = MAC, **said: Any
    ) -> TestResponse:
        """POST as the live environment does."""
        headers = {"Authorization": f"Bearer {token}"}
        return self.client.post(f"/pxe/{mac}/{what}", json=body, headers=headers, **said)


def make_site(settings: Settings) -> Site:
    """Return a server for `settings`, whose database is brought up to date."""
    database.upgrade(settings)
    app = create_app(settings)
    app.jinja_env.bytecode_cache = COMPILED
    app.testing = False  # failures are answered, as they are for everybody
    return Site(settings, app, app.test_client(), database.make_engine(settings))
