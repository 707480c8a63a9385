"""The operations of the API, each declared once: its route and its place in the document come from the same words."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flask import Blueprint, Response
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError

from bty_web.api import auth, reading
from bty_web.api.fields import Answer, Body, Query
from bty_web.errors import Conflict
from bty_web.models.words import Scope

PREFIX = "/api/v1"
V = TypeVar("V", bound=Callable[..., Any])
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class NoQuery(Query):
    """Of an operation that takes nothing behind the question mark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing that a program can ask for. `scope` None is open to everybody."""

    name: str
    method: str
    path: str  # below PREFIX, with {placeholders}
    tag: str
    summary: str
    text: str
    scope: Scope | None
    query: type[Query]
    body: type[Body] | None
    stream: str | None  # the media type of a body that is bytes
    answers: Mapping[int, type[BaseModel] | None]
    problems: frozenset[int]
    view: Callable[..., Any]

    @property
    def placeholders(self) -> list[str]:
        """The names that stand in the path."""
        return _PLACEHOLDER.findall(self.path)

    @property
    def statuses(self) -> list[int]:
        """The statuses of all problems that it may answer."""
        always = {422, 503}
        if self.scope is not None:
            always |= {401, 403}
        if self.method != "GET":
            always |= {409}
        if self.body is not None:
            always |= {413, 415}
        if self.stream is not None:
            always |= {415}
        return sorted(always | self.problems)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with a status or headers of its own."""

    content: Answer | None
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


OPERATIONS: list[Operation] = []


def operation(
    method: str,
    path: str,
    *,
    tag: str,
    scope: Scope | None,
    answers: Mapping[int, type[BaseModel] | None],
    query: type[Query] = NoQuery,
    body: type[Body] | None = None,
    stream: str | None = None,
    problems: Sequence[int] = (),
) -> Callable[[V], V]:
    """Declare an operation. Its id is the name of the view, its summary and text are the view's docstring.

    The view gets the placeholders of the path by name, `query` and `body` where there are any, and returns
    what is answered with the first status of `answers`, or a `Reply`.
    """

    def declare(view: V) -> V:
        summary, _, text = inspect.cleandoc(view.__doc__ or "").partition("\n\n")
        OPERATIONS.append(
            Operation(
                name=view.__name__,
                method=method,
                path=path,
                tag=tag,
                summary=" ".join(summary.split()).removesuffix("."),
                text=text,
                scope=scope,
                query=query,
                body=body,
                stream=stream,
                answers=answers,
                problems=frozenset(problems),
                view=view,
            )
        )
        return view

    return declare


def register(blueprint: Blueprint) -> None:
    """Add the route of each operation to `blueprint`."""
    for one in OPERATIONS:
        blueprint.add_url_rule(
            _PLACEHOLDER.sub(r"<\1>", one.path),
            endpoint=one.name,
            view_func=_answering(one),
            methods=[one.method],
            merge_slashes=False,  # no redirect that the document does not have
        )


def _answering(one: Operation) -> Callable[..., Response]:
    def answer(**path: str) -> Response:
        if one.scope is not None:
            auth.demand(one.scope)
        given: dict[str, Any] = {
            name: reading.path_value(name, text) for name, text in path.items()
        }
        query = reading.query(one.query)
        if one.query is not NoQuery:
            given["query"] = query
        if one.body is not None:
            given["body"] = reading.body(one.body)
        if one.stream is not None:
            reading.stream(one.stream)
        try:
            return _response(one, one.view(**given))
        except IntegrityError as error:
            # What was looked at a moment ago is no longer so: a name was taken, a machine added or removed.
            raise Conflict(
                "something else changed the same thing at the same moment", hint="ask again"
            ) from error

    return answer


def _response(one: Operation, found: Answer | Reply | None) -> Response:
    reply = found if isinstance(found, Reply) else Reply(found, next(iter(one.answers)))
    kind = one.answers[reply.status]  # a status that the document does not have is a bug
    if kind is None or reply.content is None:
        return Response(status=reply.status, headers=dict(reply.headers))
    text = reply.content.model_dump_json()
    return Response(text, reply.status, headers=dict(reply.headers), mimetype=reading.JSON)
