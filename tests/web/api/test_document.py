"""The document and the routes are the same, each operation says what a program needs, and no secret stands in it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from jsonschema_rs import meta

from bty_web.api.document import document
from bty_web.models.words import Scope
from tests.web.api.programs import Program
from tests.web.site import Site

OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in document()["paths"].items()
    for method, operation in methods.items()
]


def routes(app: Flask) -> set[tuple[str, str]]:
    """Return method and path of each route of the API, as the document writes them."""
    return {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule.removeprefix("/api/v1")))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_each_route_is_in_the_document_and_the_reverse(site: Site) -> None:
    assert routes(site.app) == {(method, path) for method, path, _ in OPERATIONS}


def test_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_each_operation_says_what_a_program_needs(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", operation["operationId"])
    assert re.fullmatch(r"[A-Z].{5,90}[^.]", operation["summary"])
    assert set(re.findall(r"\{(\w+)\}", path)) == {
        one["name"] for one in operation.get("parameters", []) if one["in"] == "path"
    }
    answers = operation["responses"]
    assert any(status.startswith("2") for status in answers)
    problems = {status for status in answers if status.startswith("4")}
    assert "422" in problems
    if operation["security"]:
        [[scope]] = [one["token"] for one in operation["security"]]
        assert f"Needs a token with the scope `{Scope(scope)}`." in operation["description"]
        assert {"401", "403"} <= problems
    else:
        assert operation["description"].endswith("Needs no token.")
    if "requestBody" in operation:
        assert "415" in problems
    for status in problems:
        assert list(answers[status]["content"]) == ["application/problem+json"]


def test_reading_is_for_readers_and_settings_for_admins() -> None:
    wanted = {"settings": "admin", "live": "admin", "workflows": "admin"}
    # What is read there may be what machines are let in with.
    private = {
        "/machines/{mac}/seed": "operate",
        "/groups/{name}/seed": "operate",
        "/images/{name}/credentials": "admin",
    }
    for method, path, operation in OPERATIONS:
        if operation["security"]:
            least = "read" if method == "GET" else "operate"
            scope = private.get(path) or wanted.get(path.split("/")[1], least)
            if method == "GET" and path.split("/")[1] in ("live", "workflows"):
                scope = least
            assert operation["security"] == [{"token": [scope]}], (method, path)


def test_it_is_open_and_its_schemas_are_schemas(site: Site) -> None:
    answer = Program(site, "").get("/openapi.json")
    assert answer.status_code == 200
    assert answer.json == document()
    assert answer.json["openapi"] == "3.1.0"
    assert answer.json["servers"] == [{"url": "/api/v1"}]
    for name, schema in answer.json["components"]["schemas"].items():
        assert meta.is_valid(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
        ), name


def test_each_reference_leads_somewhere() -> None:
    found = set(re.findall(r"#/components/schemas/(\w+)", str(document())))
    assert found == set(document()["components"]["schemas"])
