"""The catalog: which images there are, who uses them, and what may be done to them. The files are the truth."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import yaml
from sqlalchemy import case, select, update
from sqlalchemy.orm import Session

from bty_core.images.catalog import can_be_image
from bty_core.images.digest import KnownDigest
from bty_core.wire.fields import InvalidField
from bty_web.errors import Conflict, NotFound
from bty_web.models import Attempt, Image, Machine
from bty_web.models.words import UNDER_WAY, ImageState, State
from bty_web.services.clock import change_stamp
from bty_web.services.history import Actor, record

LONGEST_NAME = 255  # bytes, as file systems keep them
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def safe_name(text: str) -> str:
    """Return `text` if it can be the name of an image; raise `InvalidField`.

    A name is that of a file in the image root: flat, visible, and not one that stands for a note,
    a digest or an unfinished download beside an image.
    """
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        length = 0
    if not 0 < length <= LONGEST_NAME or "/" in text or not text.isprintable():
        raise InvalidField(
            "name",
            f"an image's name has 1 to {LONGEST_NAME} printable characters and no slash",
            hint="give it the name of a file, for example debian-13.img.zst",
        )
    if text != text.strip() or not can_be_image(text):
        raise InvalidField(
            "name",
            f"'{text}' is not the name of an image",
            hint="names that begin with a dot, and those of notes and digests, are kept for files beside images",
        )
    return text


def open_image(root: Path, name: str) -> BinaryIO:
    """Open a regular file of the image root; raise `NotFound` for anything else, links and devices too."""
    try:
        handle = os.open(root / safe_name(name), _OPEN)
    except (OSError, InvalidField):
        raise _none(name) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _none(name)
    return os.fdopen(handle, "rb")


def _none(name: str) -> NotFound:
    return NotFound(f"there is no image '{name[:255]}'", hint="GET /images lists what there is")


def stamp(state: os.stat_result) -> str:
    """Return what tells a file from the one that had its name before."""
    return f"{state.st_dev}:{state.st_ino}:{state.st_size}:{state.st_mtime_ns}"


def offered(session: Session) -> list[Image]:
    """Return the images that machines may see, by name: whole files, measured or still being measured."""
    query = select(Image).where(Image.state != ImageState.BROKEN).order_by(Image.name)
    return list(session.scalars(query))


def everything(session: Session) -> list[Image]:
    """Return all images, the broken ones too, by name."""
    return list(session.scalars(select(Image).order_by(Image.name)))


def get(session: Session, name: str) -> Image:
    """Return an image; raise `NotFound`."""
    image = session.scalar(select(Image).where(Image.name == name))
    if image is None:
        raise _none(name)
    return image


def used_by(session: Session, name: str) -> list[Machine]:
    """Return the machines that the image is assigned to."""
    query = select(Machine).where(Machine.image == name)
    return list(session.scalars(query.order_by(Machine.name, Machine.mac)))


def being_flashed(session: Session, name: str) -> list[Machine]:
    """Return the machines with an attempt that uses the image now."""
    busy = [*UNDER_WAY, State.OFFERED]
    # Not DISTINCT over whole machines: PostgreSQL cannot compare their inventories.
    with_it = select(Attempt.machine_id).where(Attempt.image == name, Attempt.state.in_(busy))
    found = select(Machine).where(Machine.id.in_(with_it))
    return list(session.scalars(found.order_by(Machine.mac)))


def insist_unused(session: Session, name: str) -> None:
    """Raise `Conflict` while an attempt uses the image."""
    if busy := being_flashed(session, name):
        titles = ", ".join(machine.title for machine in busy[:5])
        raise Conflict(
            f"{name} is being flashed onto {titles}",
            hint="wait for the end of the attempt, or cancel it",
        )


def replacing(
    unit_of_work: Callable[[], AbstractContextManager[Session]], name: str
) -> Callable[[], AbstractContextManager[None]]:
    """Return what `uploads.receive` needs to replace the image: no attempt uses it, and none begins meanwhile."""

    @contextmanager
    def around() -> Iterator[None]:
        with unit_of_work() as session:
            insist_unused(session, name)
            yield

    return around


def remove(session: Session, root: Path, name: str, *, by: Actor, now: datetime) -> None:
    """Delete an image, and what lies beside it under its name. Assignments keep the name.

    Raises `Conflict` while an attempt uses it.
    """
    image = get(session, name)
    insist_unused(session, name)
    safe = safe_name(name)
    for file in (safe, f"{safe}.yaml", f"{safe}.sha256"):
        if len(file.encode()) > LONGEST_NAME:
            continue  # nothing can have this name
        try:
            (root / file).unlink(missing_ok=True)
        except OSError as error:
            raise Conflict(f"{file} cannot be deleted: {(error.strerror or '').lower()}") from error
    session.delete(image)
    touch_machines(session, name)
    record(session, "image.deleted", f"{name} was deleted", by=by, now=now, subject=name)
    session.flush()


def judge(image: Image, wanted: KnownDigest | None) -> None:
    """Say of a measured image whether it has the digest that lies beside it, which may come or be corrected later."""
    if image.sha256 is None:
        return
    wrong = None
    if wanted is not None and wanted.digest.hex != image.sha256:
        wrong = f"its SHA-256 is {image.sha256}, and {wanted.origin} says {wanted.digest.hex}"
    if image.state is ImageState.READY and wrong:
        image.state, image.message = ImageState.BROKEN, wrong
        image.hint = f"copy it again, or correct {wanted.origin}" if wanted else None
        image.changed = change_stamp()
    elif (image.message or "").startswith("its SHA-256 is ") and image.message != wrong:
        image.state, image.message, image.hint = ImageState.READY, None, None
        image.changed = change_stamp()
        judge(image, wanted)


def health(root: Path) -> str | None:
    """Return why the images cannot be read, or None where they can."""
    try:
        with os.scandir(root):
            return None
    except OSError as error:
        return f"the image root {root} cannot be read: {(error.strerror or str(error)).lower()}"


def touch_machines(session: Session, name: str) -> None:
    """Let pages and contacts know that something of a machine's image has changed."""
    stamp = change_stamp()
    later = case((Machine.changed < stamp, stamp), else_=Machine.changed + 1)
    session.execute(update(Machine).where(Machine.image == name).values(changed=later))


def describe(
    session: Session, root: Path, name: str, description: str, *, by: Actor, now: datetime
) -> Image:
    """Keep a description of an image, in ``NAME.yaml`` beside it: it goes where the file goes."""
    image = get(session, name)
    one_line = " ".join(description.split())[:1000]
    path = root / f"{safe_name(name)}.yaml"
    partial = path.with_name(f".{path.name}.part-{os.getpid()}")
    content: dict[str, object] = {}
    try:
        known = yaml.safe_load(path.read_text("utf-8"))
        content = known if isinstance(known, dict) else {}
    except (OSError, ValueError, yaml.YAMLError):
        pass
    content["description"] = one_line
    try:
        partial.write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):  # a name that is too long for notes beside it
            partial.unlink(missing_ok=True)
        why = (error.strerror or "").lower()
        raise Conflict(f"{path.name} cannot be written: {why}") from error
    image.description = one_line or None
    image.changed = change_stamp()
    record(session, "image.described", f"{name}: {one_line}", by=by, now=now, subject=name)
    session.flush()
    return image
