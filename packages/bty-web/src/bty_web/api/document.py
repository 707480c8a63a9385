"""The OpenAPI 3.1 document, made of the same declarations as the routes."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from bty_web import __version__
from bty_web.api.fields import LARGEST_ID, MAC, Answer, Page, Problem
from bty_web.api.operations import OPERATIONS, PREFIX, Operation, operation
from bty_web.api.reading import JSON
from bty_web.problems import TYPE

REF = "#/components/schemas/{model}"
ABOUT = """\
The same verbs as the pages, for programs.

Send a bearer token, made on the Settings page or with `bty-web token`, as `Authorization: Bearer TOKEN`. Its
scope says what it may do: `read` looks, `operate` also changes machines, groups, images and attempts, `admin`
also changes settings and the live environment.

Failures are RFC 9457 problems with `code` for programs, `detail` and `hint` for people, and `field` for what is
wrong in a request. A field or a query parameter that is not known is refused with 422: a misspelt one would
otherwise do nothing, or too much. In lists, `page` counts from 1 and the header `Link` has the way on, relative to
this server. Times are UTC, sizes are bytes.
"""
TAGS = {
    "machines": "Computers, what they are and what they shall do",
    "attempts": "Tries at flashing one machine",
    "groups": "Machines that are looked at and assigned together",
    "seeds": "What cloud-init gets on a machine",
    "workflows": "What CIJOE runs on a disk that was written, or on a machine that has started from it",
    "runs": "What the server does on machines that have started their own system, and what it finds there",
    "images": "The catalog",
    "jobs": "Background work: imports and measuring",
    "live": "The live environment that machines boot",
    "events": "Who did what, when, from where",
    "settings": "What the Settings page has",
    "document": "This document",
}
PLACEHOLDERS: dict[str, dict[str, Any]] = {
    "mac": {
        "description": "Any MAC address of the machine, with colons, hyphens or neither.",
        "schema": {"type": "string", "pattern": MAC},
        "example": "52:54:00:12:34:56",
    },
    "id": {
        "description": "Its number.",
        "schema": {"type": "integer", "minimum": 1, "maximum": LARGEST_ID},
    },
    "version": {
        "description": "Its version.",
        "schema": {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,79}$"},
    },
    "name": {
        "description": "Its name.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "pattern": r"^[^\x00-\x1f\x7f/]+$",
        },
    },
}
HEADERS: dict[str, dict[str, Any]] = {
    "Link": {"description": "RFC 8288: first, prev, next, last.", "schema": {"type": "string"}},
    "Location": {
        "description": "Where the new thing, or the job, is.",
        "schema": {"type": "string"},
    },
    "WWW-Authenticate": {"schema": {"type": "string"}},
}


class Document(Answer):
    """An OpenAPI document."""

    model_config = ConfigDict(extra="allow")

    openapi: str


@operation("GET", "/openapi.json", tag="document", scope=None, answers={200: Document})
def show_document() -> Document:
    """Show this document.

    It needs no token: it holds no secret.
    """
    return Document.model_validate(document())


@cache
def document() -> dict[str, Any]:
    """Return the document as JSON values."""
    places, components = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for one in sorted(OPERATIONS, key=lambda one: list(TAGS).index(one.tag)):
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, places)
    used = {one.tag for one in OPERATIONS}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "bty-web",
            "version": __version__,
            "summary": "Put OS images onto the disks of a room of machines, verified",
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": PREFIX}],
        "tags": [
            {"name": name, "description": text} for name, text in TAGS.items() if name in used
        ],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token with a scope: read, operate or admin; each has the ones before it.",
                }
            },
        },
    }


Places = dict[tuple[Any, JsonSchemaMode], dict[str, Any]]


def _schemas() -> tuple[Places, dict[str, Any]]:
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for one in OPERATIONS:
        if one.body is not None:
            wanted[(one.body, "validation")] = None
        for answer in one.answers.values():
            if answer is not None:
                wanted[(answer, "serialization")] = None
    places, found = models_json_schema(list(wanted), ref_template=REF)
    return {key: dict(place) for key, place in places.items()}, found["$defs"]


def _operation(one: Operation, places: Places) -> dict[str, Any]:
    needs = (
        "Needs no token." if one.scope is None else f"Needs a token with the scope `{one.scope}`."
    )
    found: dict[str, Any] = {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": one.summary,
        "description": f"{one.text}\n\n{needs}".strip(),
        "security": [] if one.scope is None else [{"token": [one.scope.value]}],
    }
    parameters = [_placeholder(name) for name in one.placeholders] + _query(one)
    if parameters:
        found["parameters"] = parameters
    if one.body is not None:
        schema = places[(one.body, "validation")]
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    if one.stream is not None:
        content = {one.stream: {"schema": {"type": "string", "format": "binary"}}}
        found["requestBody"] = {"required": True, "content": content}
    found["responses"] = _responses(one, places)
    return found


def _placeholder(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, **PLACEHOLDERS[name]}


def _query(one: Operation) -> list[dict[str, Any]]:
    schema = one.query.model_json_schema(mode="validation")
    definitions = schema.get("$defs", {})
    found = []
    for name, declared in schema.get("properties", {}).items():
        # Nothing behind a question mark is null: what may be None may be left out.
        plain = dict(next(iter(declared.get("anyOf", ())), declared))
        if "$ref" in plain:
            plain = dict(definitions[plain["$ref"].rpartition("/")[2]])
        for extra in ("title", "description"):
            plain.pop(extra, None)
        if plain.get("default", ...) is None:
            del plain["default"]
        required = name in schema.get("required", ())
        entry = {"name": name, "in": "query", "required": required, "schema": plain}
        if "description" in declared:
            entry["description"] = declared["description"]
        found.append(entry)
    return found


def _responses(one: Operation, places: Places) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, kind in one.answers.items():
        entry: dict[str, Any] = {"description": HTTPStatus(status).phrase}
        if kind is not None:
            entry["content"] = {JSON: {"schema": places[(kind, "serialization")]}}
            if issubclass(kind, Page):
                entry["headers"] = {"Link": {**HEADERS["Link"], "required": True}}
        if status in (201, 202):
            entry["headers"] = {"Location": {**HEADERS["Location"], "required": True}}
        found[str(status)] = entry
    problem = {TYPE: {"schema": places[(Problem, "serialization")]}}
    for status in one.statuses:
        entry = {"description": HTTPStatus(status).phrase, "content": problem}
        if status == 401:
            entry["headers"] = {
                "WWW-Authenticate": {**HEADERS["WWW-Authenticate"], "required": True}
            }
        found[str(status)] = entry
    return found
