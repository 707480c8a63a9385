"""The catalog: which images there are, where they are used, and how they come and go."""

from __future__ import annotations

import os
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import AwareDatetime, Field, StringConstraints
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bty_core.values import size_text
from bty_web.api import auth, reading
from bty_web.api.fields import (
    ONE_LINE,
    Answer,
    Body,
    Flag,
    ImageName,
    Line,
    Page,
    Paged,
    Query,
    Sha256,
    omittable,
)
from bty_web.api.jobs import JobAnswer, job_values
from bty_web.api.operations import PREFIX, Reply, operation
from bty_web.api.paging import page_of
from bty_web.errors import NotFound
from bty_web.extensions import db, writing
from bty_web.jobs import imports, queue
from bty_web.models import Image, Machine
from bty_web.models.words import ImageState, Scope
from bty_web.security import settings
from bty_web.services import catalog, clock, listing, scanning, uploads
from bty_web.services.history import record

LONGEST_DESCRIPTION = 1000


class ImageAnswer(Answer):
    """An image of the catalog. Its bytes are at /images/NAME, without a token."""

    name: str
    state: ImageState = Field(description="Only a `ready` one can be flashed.")
    format: str | None = Field(description="By its content; null until it is measured.")
    size_bytes: int = Field(description="Of the file as stored.")
    virtual_size_bytes: int | None = Field(description="Of the disk that it becomes.")
    sha256: str | None = Field(description="Of the file as stored; null until it is measured.")
    disk_sha256: str | None = Field(description="Of the decoded bytes.")
    description: str | None
    warnings: list[str]
    message: str | None = Field(description="Why it is broken.")
    hint: str | None
    added_at: AwareDatetime
    measured_at: AwareDatetime | None
    machines: int = Field(description="How many machines it is assigned to.")


class ImagePage(Page):
    """One page of images, by name."""

    items: list[ImageAnswer]


class ImageQuery(Paged):
    """Which images."""

    search: Line | None = omittable("Words that all occur in name, description, format or digest.")
    state: ImageState | None = omittable("In this state.")


class UploadQuery(Query):
    """How an upload is taken."""

    sha256: Sha256 | None = omittable("What the SHA-256 of the body must be.")
    replace: Flag = Field(
        default=False, description="Whether it may take the place of an image of this name."
    )


class ImageChange(Body):
    """What changes."""

    description: Annotated[
        str, StringConstraints(pattern=ONE_LINE, max_length=LONGEST_DESCRIPTION)
    ] = Field(description="One line; empty: none.")


class NewImport(Body):
    """An image to be fetched."""

    url: Annotated[
        str, StringConstraints(pattern=ONE_LINE, min_length=1, max_length=imports.MOST_URL)
    ] = Field(
        description="http:// or https://, with user and password where the server wants them."
    )
    name: ImageName | None = omittable("What it is called here; otherwise as its URL ends.")
    sha256: Sha256 | None = omittable("What its SHA-256 must be.")
    replace: bool = Field(
        default=False, description="Whether it may take the place of an image of this name."
    )


@operation(
    "GET", "/images", tag="images", scope=Scope.READ, query=ImageQuery, answers={200: ImagePage}
)
def list_images(query: ImageQuery) -> Reply:
    """List images by name."""
    session = db.session()
    found = listing.images(
        session, search=query.search, state=query.state, number=query.page, size=query.size
    )
    return page_of(ImagePage, found, image_values(session, list(found.rows)), query)


@operation(
    "GET",
    "/images/{name}",
    tag="images",
    scope=Scope.READ,
    answers={200: ImageAnswer},
    problems=[404],
)
def show_image(name: str) -> ImageAnswer:
    """Show one image."""
    session = db.session()
    image = session.scalar(select(Image).where(Image.name == name))
    if image is None:
        raise NotFound(f"there is no image '{name}' in the catalog")
    return _answer(session, image)


@operation(
    "PUT",
    "/images/{name}",
    tag="images",
    scope=Scope.OPERATE,
    query=UploadQuery,
    stream="application/octet-stream",
    answers={201: ImageAnswer, 200: ImageAnswer},
    problems=[404, 507],
)
def put_image(name: str, query: UploadQuery) -> Reply:
    """Upload an image.

    The body is the file as it is to be stored, with or without a `Content-Length`. The image is there when all of it
    came, and measured soon after; of an upload that breaks off, or has another digest, nothing stays. 200: it replaced
    the image of this name; machines that are fetching that one go on with it until their link breaks. 409: there is
    one, and it is not to be replaced, or is being flashed. 507: there is no room.
    """
    in_force, by = settings(), auth.actor()
    replaced = os.path.lexists(uploads.target_of(in_force, name, replace=query.replace))
    if replaced:
        with writing() as session:  # before all of it comes
            catalog.insist_unused(session, name)
    body = reading.incoming()
    uploads.receive(
        in_force,
        name,
        body,
        length=body.length,
        sha256=query.sha256,
        replace=query.replace,
        replacing=catalog.replacing(writing, name),
    )
    now = clock.now()
    with writing() as session:
        queued = scanning.adopt(session, in_force.image_root, name, now)
        image = catalog.get(session, name)
        told = f"{name} was {'replaced' if replaced else 'uploaded'}: {size_text(image.size_bytes)}"
        record(session, "image.uploaded", told, by=by, now=now, subject=name)
        content = _answer(session, image)
    queue.enqueue(in_force, queued)
    if replaced:
        return Reply(content, 200)
    return Reply(content, 201, {"Location": f"{PREFIX}/images/{quote(name, safe='')}"})


@operation(
    "PATCH",
    "/images/{name}",
    tag="images",
    scope=Scope.OPERATE,
    body=ImageChange,
    answers={200: ImageAnswer},
    problems=[404],
)
def change_image(name: str, body: ImageChange) -> ImageAnswer:
    """Describe an image.

    The description is kept in `NAME.yaml` beside the file, and goes where the file goes.
    """
    in_force, by = settings(), auth.actor()
    with writing() as session:
        image = catalog.describe(
            session, in_force.image_root, name, body.description, by=by, now=clock.now()
        )
        return _answer(session, image)


@operation(
    "DELETE",
    "/images/{name}",
    tag="images",
    scope=Scope.OPERATE,
    answers={204: None},
    problems=[404],
)
def remove_image(name: str) -> None:
    """Delete an image, and what lies beside it under its name.

    Machines that it is assigned to keep its name, and get the wizard until there is such an image again. 409: it is
    being flashed.
    """
    in_force, by = settings(), auth.actor()
    with writing() as session:
        catalog.remove(session, in_force.image_root, name, by=by, now=clock.now())


@operation(
    "POST",
    "/images",
    tag="images",
    scope=Scope.OPERATE,
    body=NewImport,
    answers={202: JobAnswer},
)
def import_image(body: NewImport) -> Reply:
    """Import an image from a URL.

    The answer is the job that fetches it; ask for that job until it has ended. 409: there is an image of this name, or
    it is being imported, or the one that is to be replaced is being flashed.
    """
    in_force, by = settings(), auth.actor()
    uploads.target_of(in_force, imports.name_for(body.url, body.name), replace=body.replace)
    with writing() as session:
        job = imports.ask(
            session,
            body.url,
            name=body.name,
            sha256=body.sha256,
            replace=body.replace,
            by=by,
            now=clock.now(),
        )
        content = JobAnswer.model_validate(job_values(job))
    queue.enqueue(in_force, [content.id])
    return Reply(content, 202, {"Location": f"{PREFIX}/jobs/{content.id}"})


def _answer(session: Session, image: Image) -> ImageAnswer:
    return ImageAnswer.model_validate(image_values(session, [image])[0])


def image_values(session: Session, images: list[Image]) -> list[dict[str, Any]]:
    """Return what an `ImageAnswer` of each is made of."""
    names = [one.name for one in images]
    counted = (
        select(Machine.image, func.count()).where(Machine.image.in_(names)).group_by(Machine.image)
    )
    used = {row[0]: row[1] for row in session.execute(counted)}
    columns = ImageAnswer.model_fields.keys() - {"machines"}
    return [
        {
            **{name: getattr(one, name) for name in columns},
            "machines": used.get(one.name, 0),
        }
        for one in images
    ]
