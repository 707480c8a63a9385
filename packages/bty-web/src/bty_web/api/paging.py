"""Lists, one page at a time, with the way on in the header ``Link``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import request

from bty_web.api.fields import Page, Paged
from bty_web.api.operations import Reply
from bty_web.services import listing

P = TypeVar("P", bound=Page)


def page_of(kind: type[P], found: listing.Page[Any], items: list[Any], asked: Paged) -> Reply:
    """Answer the page that was `asked` for: `items`, or nothing where it is after the last."""
    beyond = asked.page > found.pages
    content = kind.model_validate(
        {
            "items": [] if beyond else items,
            "total": found.total,
            "page": asked.page,
            "pages": found.pages,
            "size": found.size,
        }
    )
    ways = {"first": 1, "last": found.pages}
    if asked.page > 1:
        ways["prev"] = min(asked.page - 1, found.pages)
    if asked.page < found.pages:
        ways["next"] = asked.page + 1
    links = ", ".join(
        f'<{_address(number, found.size)}>; rel="{rel}"' for rel, number in ways.items()
    )
    return Reply(content, 200, {"Link": links})


def _address(number: int, size: int) -> str:
    kept: Mapping[str, str] = request.args.to_dict()
    return f"{request.path}?{urlencode({**kept, 'page': number, 'size': size})}"
