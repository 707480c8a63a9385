"""The catalog: which images there are and where they are used."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bty_web.api.fields import Answer, Line, Page, Paged, omittable
from bty_web.api.operations import Reply, operation
from bty_web.api.paging import page_of
from bty_web.errors import NotFound
from bty_web.extensions import db
from bty_web.models import Image, Machine
from bty_web.models.words import ImageState, Scope
from bty_web.services import listing


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
