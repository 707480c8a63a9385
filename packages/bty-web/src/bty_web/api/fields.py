"""What fields of requests and answers have in common. Everything here shows in the OpenAPI document."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import CoreSchema, core_schema

LARGEST_ID = 2**31 - 1  # what every database keeps in a primary key

# One line: no control characters, which no database, console or firmware takes well.
ONE_LINE = r"^[^\x00-\x1f\x7f]*$"
LINES = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
MAC = (
    r"^[0-9A-Fa-f][02468aceACE]"
    r"((:[0-9A-Fa-f]{2}){5}|(-[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{10})$"
)

Line = Annotated[str, StringConstraints(pattern=ONE_LINE)]
Name = Annotated[
    str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f<>\"'&`$\\]*$", max_length=80, min_length=1)
]
Notes = Annotated[str, StringConstraints(pattern=LINES, max_length=2000)]
ImageName = Annotated[str, StringConstraints(pattern=ONE_LINE, max_length=255, min_length=1)]
Target = Annotated[str, StringConstraints(pattern=ONE_LINE, max_length=1000, min_length=1)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$")]
MacText = Annotated[str, StringConstraints(pattern=MAC)]


def _whole(value: Any) -> Any:
    """Read a whole number of a query or a path; anything that is not plainly one is left, and refused."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value):
        return int(value)
    return value


def _flag(value: Any) -> Any:
    """Read true or false of a query; other words for them are left, and refused."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


Flag = Annotated[bool, BeforeValidator(_flag), Field(strict=True)]
PageNumber = Annotated[int, BeforeValidator(_whole), Field(strict=True, ge=1, le=10**9)]
PageSize = Annotated[int, BeforeValidator(_whole), Field(strict=True, ge=1, le=500)]
Id = Annotated[int, BeforeValidator(_whole), Field(strict=True, ge=1, le=LARGEST_ID)]


class OneOf:
    """Declares a text that is one of some words."""

    def __init__(self, *words: str) -> None:
        self.words = list(words)

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        return core_schema.literal_schema(self.words)


class Answer(BaseModel):
    """What is answered."""

    model_config = ConfigDict(from_attributes=True)


class Body(BaseModel):
    """What is asked for, in JSON: a field that is not known is refused, a wrong type is not converted."""

    most_bytes: ClassVar[int] = 256 * 1024
    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """What is asked for behind the question mark: a name that is not known is refused."""

    model_config = ConfigDict(extra="forbid")


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def omittable(text: str) -> Any:
    """Declare a field that may be left out, which says something else than null."""
    return Field(default=None, description=text, json_schema_extra=_without_default)


class Paged(Query):
    """One page of a list."""

    page: PageNumber = Field(default=1, description="Which page; the first is 1.")
    size: PageSize = Field(default=50, description="How many entries a page has.")


class Page(Answer):
    """One page of a list; the header `Link` has the first, previous, next and last one."""

    total: int = Field(description="How many entries there are on all pages.")
    page: int = Field(description="Which page this is; one after the last is empty.")
    pages: int = Field(description="How many pages there are, at least one.")
    size: int = Field(description="How many entries a page has.")


class Fault(Answer):
    """One thing that is wrong with a request."""

    field: str = Field(description="Its name, with dots and indexes; empty: the whole request.")
    message: str


class Problem(Answer):
    """An RFC 9457 problem."""

    type: str
    title: str
    status: int
    detail: str = Field(description="What happened, to which thing, and why.")
    code: str = Field(description="The kind of failure, for programs.")
    hint: str | None = Field(
        default=None, description="What to do now.", json_schema_extra=_without_default
    )
    field: str | None = Field(
        default=None,
        description="With 422: the first field that is wrong.",
        json_schema_extra=_without_default,
    )
    errors: list[Fault] | None = Field(
        default=None,
        description="With 422, where several may be wrong: all of them.",
        json_schema_extra=_without_default,
    )
