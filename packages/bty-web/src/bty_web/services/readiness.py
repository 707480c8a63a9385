"""Whether this server can work: what `bty-web check` shows and `serve` insists on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from bty_core import proc
from bty_core.errors import BtyError, ProgramMissing
from bty_core.values import MIB, size_text
from bty_web import database
from bty_web.errors import BrokenSetting, DatabaseBroken
from bty_web.models import User
from bty_web.services import keys, live
from bty_web.settings import FOLDERS, Settings

_QUEUE_SECONDS = 5.0
_INIT = "bty-web init"


class Weight(StrEnum):
    """What a finding means."""

    GOOD = "ok"
    NOTE = "note"  # the server works; something is not set up yet
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what was seen."""

    what: str
    weight: Weight
    message: str
    hint: str | None = None


Look = Callable[[str, Settings], Finding]


def examine(settings: Settings, more: Mapping[str, Look]) -> list[Finding]:
    """Look at everything that the server needs, and at `more`, changing nothing."""
    found: list[Finding] = []
    for what, look in {**_LOOKS, **more}.items():
        try:
            found.append(look(what, settings))
        except BtyError as error:
            found.append(Finding(what, Weight.FAULT, error.message, error.hint))
    return found


def insist(settings: Settings) -> None:
    """Raise for the first thing without which no request can be answered."""
    for what in ("folders", "key", "queue"):
        found = _LOOKS[what](what, settings)
        if found.weight is Weight.FAULT:
            raise BrokenSetting(found.message, hint=found.hint)


@contextmanager
def opened(settings: Settings) -> Iterator[Session]:
    """A unit of work on a database that is up to date; raise `DatabaseBroken` where it is not."""
    now, newest = revisions(settings)
    if now is None:
        raise DatabaseBroken("there is no database yet", hint=f"make it first: {_INIT}")
    if now != newest:
        raise DatabaseBroken(
            f"the database is of another version (its revision is {now}, not {newest})",
            hint=f"bring it up to date: {_INIT}",
        )
    engine = database.make_engine(settings)
    try:
        with database.working(engine) as session:
            yield session
    except SQLAlchemyError as error:
        raise database.broken(settings, error) from error
    finally:
        engine.dispose()


def revisions(settings: Settings) -> tuple[str | None, str | None]:
    """Return the revision of the database, None where there is none yet, and the newest one."""
    newest = ScriptDirectory(str(database.MIGRATIONS)).get_current_head()
    file = database.sqlite_file(settings)
    if file is not None and not file.exists():  # to look would make it
        return None, newest
    engine = database.make_engine(settings)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision(), newest
    except SQLAlchemyError as error:
        raise database.broken(settings, error) from error
    finally:
        engine.dispose()


def _folders(what: str, settings: Settings) -> Finding:
    for name in ("state_dir", *FOLDERS):
        folder: Path = getattr(settings, name)
        if not folder.is_dir():
            hint = f"make it: {_INIT}"
            return Finding(what, Weight.FAULT, f"{folder} ({name}) is not there", hint)
        if not os.access(folder, os.W_OK | os.X_OK):
            hint = f"give it to the user who runs bty-web, or set BTY_{name.upper()}"
            return Finding(what, Weight.FAULT, f"{folder} ({name}) cannot be written", hint)
    return Finding(what, Weight.GOOD, "all are there and can be written")


def _key(what: str, settings: Settings) -> Finding:
    path = settings.state_dir / keys.NAME
    if not path.exists():
        return Finding(what, Weight.NOTE, f"{path} is not there yet", f"make it: {_INIT}")
    keys.load_key(settings.state_dir)
    return Finding(what, Weight.GOOD, f"{path} is there, for its owner only")


def _database(what: str, settings: Settings) -> Finding:
    now, newest = revisions(settings)
    if now is None:
        return Finding(what, Weight.FAULT, "there is no database yet", f"make it: {_INIT}")
    known = {one.revision for one in ScriptDirectory(str(database.MIGRATIONS)).walk_revisions()}
    if now not in known:
        message = f"it was made by a newer bty-web (its revision is {now})"
        hint = "install that version, or restore a backup that this one made"
        return Finding(what, Weight.FAULT, message, hint)
    if now != newest:
        message = f"its revision is {now}; {newest} is the newest"
        return Finding(what, Weight.NOTE, message, "bty-web serve brings it up to date")
    return Finding(what, Weight.GOOD, f"it can be reached; its revision is {now}")


def _users(what: str, settings: Settings) -> Finding:
    with opened(settings) as session:
        number = session.scalar(select(func.count()).select_from(User)) or 0
    if not number:
        return Finding(what, Weight.NOTE, "nobody can log in yet", f"add a user: {_INIT}")
    return Finding(what, Weight.GOOD, f"{number} can log in")


def _queue(what: str, settings: Settings) -> Finding:
    if not settings.queue_url:
        return Finding(what, Weight.GOOD, "in the state folder, done by bty-web serve itself")
    try:
        from redis import Redis
        from redis.exceptions import RedisError
    except ImportError:
        return Finding(
            what,
            Weight.FAULT,
            "BTY_QUEUE_URL needs the Python package redis, which is not installed",
            "install it: pip install 'bty-web[redis]'",
        )
    shown = without_password(settings.queue_url)
    try:
        with Redis.from_url(
            settings.queue_url,
            socket_timeout=_QUEUE_SECONDS,
            socket_connect_timeout=_QUEUE_SECONDS,
        ) as server:
            server.ping()
    except (RedisError, OSError, ValueError) as error:
        why = " ".join(str(error).split())
        hint = "check BTY_QUEUE_URL, and that the Redis there runs"
        return Finding(what, Weight.FAULT, f"the queue {shown} cannot be reached: {why}", hint)
    return Finding(what, Weight.GOOD, f"{shown} answers; bty-web worker does the work")


def _dnsmasq(what: str, _settings: Settings) -> Finding:
    try:
        return Finding(what, Weight.GOOD, f"{proc.find('dnsmasq')} is there")
    except ProgramMissing as error:
        return Finding(what, Weight.NOTE, f"{error.message}; only proxy-DHCP needs it", error.hint)


def _live(what: str, settings: Settings) -> Finding:
    manifest = live.active(settings.boot_dir)
    if manifest is None:
        message = "there is none yet: machines boot their own disk"
        return Finding(what, Weight.NOTE, message, "upload one, on its page or by PUT /api/v1/live")
    missing = [
        one.name
        for one in manifest.files
        if not (settings.boot_dir / manifest.version / one.name).is_file()
    ]
    if missing:
        message = f"{manifest.version} lacks {', '.join(missing)}"
        return Finding(what, Weight.FAULT, message, "upload it again")
    return Finding(what, Weight.GOOD, f"version {manifest.version}")


def _room(what: str, settings: Settings) -> Finding:
    try:
        free = shutil.disk_usage(settings.image_root).free
    except OSError as error:
        message = f"{settings.image_root} cannot be asked: {error.strerror}"
        return Finding(what, Weight.FAULT, message, f"make it: {_INIT}")
    told = f"{size_text(free)} free for images in {settings.image_root}"
    if free < settings.upload_reserve_mib * MIB:
        return Finding(what, Weight.FAULT, told, "remove images, or give it a larger disk")
    return Finding(what, Weight.GOOD, told)


def without_password(url: str) -> str:
    """Return a URL as it may be shown: the password replaced, and no query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    who, at, _ = parts.netloc.rpartition("@")
    name = who.partition(":")[0]
    shown = f"{name}:***@{host}" if ":" in who else f"{name}{at}{host}"
    return f"{parts.scheme}://{shown}{parts.path}"


_LOOKS: dict[str, Look] = {
    "folders": _folders,
    "key": _key,
    "database": _database,
    "users": _users,
    "queue": _queue,
    "live environment": _live,
    "free space": _room,
    "dnsmasq": _dnsmasq,
}
