"""Images that are fetched from a URL: asked for, and stopped."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import unquote, urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from bty_core.errors import InvalidValue
from bty_core.values import Digest
from bty_core.wire.fields import InvalidField
from bty_web.errors import Conflict, NotFound
from bty_web.jobs import fetch
from bty_web.models import Job
from bty_web.models.words import JobState
from bty_web.services import catalog, jobs
from bty_web.services.addresses import without_secrets
from bty_web.services.history import Actor, record

KIND = "import"
OPEN = (JobState.QUEUED, JobState.RUNNING)
MOST_URL = 2000


def ask(
    session: Session,
    url: str,
    *,
    name: str | None = None,
    sha256: str | None = None,
    replace: bool = False,
    by: Actor,
    now: datetime,
) -> Job:
    """Add the job of fetching `url` into the catalog, without `name` under the last part of the URL.

    It is to be queued when the transaction is committed. Raises `InvalidField`, and `Conflict` while
    the same name is being fetched or what it replaces is being flashed.
    """
    name = name_for(url, name)
    arguments: dict[str, object] = {
        "url": _checked(url),
        "name": name,
        "sha256": _digest(sha256),
        "by": by.name,
    }
    if replace:
        catalog.insist_unused(session, name)
        arguments["replace"] = True
    under_way = select(Job.id).where(Job.kind == KIND, Job.subject == name, Job.state.in_(OPEN))
    if session.scalar(under_way.limit(1)) is not None:
        raise Conflict(f"{name} is being imported already", hint="wait for it, or stop it first")
    job = jobs.add(session, KIND, name, arguments, by=by, now=now)
    told = f"the import of {name} from {without_secrets(url)} was asked for"
    record(session, "image.import", told, by=by, now=now, subject=name)
    return job


def name_for(url: str, name: str | None) -> str:
    """Return what the image of `url` is called where `name` does not say; raise `InvalidField`."""
    return catalog.safe_name(name or _name_of(_checked(url)))


def stop(session: Session, number: int, *, by: Actor, now: datetime) -> Job:
    """Let an import stop; raise `NotFound`, or `Conflict` for one that has ended."""
    job = jobs.get(session, number, lock=True)
    if job.kind != KIND:
        raise NotFound(f"there is no import {number}")
    asked_before = job.cancel_asked_at is not None
    jobs.ask_to_cancel(job, now=now)
    if not asked_before:
        told = f"the import of {job.subject} was stopped"
        record(session, "image.import-stopped", told, by=by, now=now, subject=job.subject)
    session.flush()
    return job


def _checked(url: str) -> str:
    if len(url) > MOST_URL or not url.isprintable() or " " in url:
        raise InvalidField("url", f"a URL has at most {MOST_URL} printable characters and no blank")
    try:
        fetch.check_url(url)
        host = urlsplit(url).hostname
    except InvalidField:
        raise
    except (InvalidValue, ValueError):
        host = None
    if not host:
        raise InvalidField(
            "url",
            f"'{url[:80]}' is not the URL of a file",
            hint="write it as https://example.org/debian.qcow2",
        )
    return url


def _name_of(url: str) -> str:
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    if not name:
        raise InvalidField("name", "this URL ends without a name", hint="give the image a name")
    return name


def _digest(text: str | None) -> str | None:
    try:
        return Digest.parse(text).hex if text else None
    except InvalidValue as error:
        raise InvalidField("sha256", error.message, hint=error.hint) from None
