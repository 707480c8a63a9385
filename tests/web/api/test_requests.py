"""Requests that are not what they should be: each says what is wrong, and none is a crash."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.api.programs import Program
from tests.web.site import MAC, Site

PATH = f"/machines/{MAC}"


def refused(site: Site, body: bytes, path: str = PATH, method: str = "PATCH") -> dict[str, Any]:
    site.add_machine()
    answer = Program.of(site).ask(method, path, data=body, content_type="application/json")
    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    found: dict[str, Any] = answer.json
    return found


@pytest.mark.parametrize(
    ("body", "field", "detail"),
    [
        (b'{"imgae": "x"}', "imgae", "this request has no 'imgae'"),
        (b'{"boot_policy": "always"}', "boot_policy", None),
        (b'{"boot_policy": null}', "boot_policy", None),
        (b'{"name": 5}', "name", "'name': input should be a valid string"),
        (b'{"notes": "a\\u0000b"}', "notes", None),
        (b'{"notes": "\\ud800"}', "", None),
        (b'{"image": "gone.img"}', "image", "there is no image 'gone.img' in the catalog"),
        (
            b'{"provisioning_mode": "ansible"}',
            "provisioning_mode",
            None,
        ),
        (b"[]", "", "the body: input should be an object"),
        (b"", "", None),
        (b"{", "", None),
        (b"\xff\xfe", "", None),
        (b'{"notes": ' + b"[" * 5000 + b"]" * 5000 + b"}", "", None),
    ],
)
def test_the_field_that_is_wrong_is_named(
    site: Site, body: bytes, field: str, detail: str | None
) -> None:
    found = refused(site, body)
    assert found["field"] == field
    assert detail is None or found["detail"] == detail
    assert site.machine().revision == 1


def test_all_that_is_wrong_is_said_at_once(site: Site) -> None:
    found = refused(site, b'{"name": 5, "colour": "red"}')
    assert found["errors"] == [
        {"field": "name", "message": "'name': input should be a valid string"},
        {"field": "colour", "message": "this request has no 'colour'"},
    ]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("stat=failed", "stat"),
        ("state=broken", "state"),
        ("state=done&state=failed", "state"),
        ("page=0", "page"),
        ("page=1.5", "page"),
        ("page=99999999999999999999", "page"),
        ("size=501", "size"),
        ("sort=colour", "sort"),
        ("search=a%00b", "search"),
    ],
)
def test_a_query_that_is_wrong_is_refused_not_widened(site: Site, query: str, field: str) -> None:
    answer = Program.of(site).get(f"/machines?{query}")
    assert (answer.status_code, answer.json["field"]) == (422, field)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/machines/zz", "mac"),
        ("/machines/ff:ff:ff:ff:ff:ff", "mac"),
        ("/attempts/0", "id"),
        ("/attempts/9223372036854775808", "id"),
        ("/attempts/٣", "id"),
        ("/groups/a%00b", "name"),
        ("/groups/%ff", "name"),
    ],
)
def test_a_path_that_means_nothing_is_refused(site: Site, path: str, field: str) -> None:
    answer = Program.of(site).get(path)
    assert (answer.status_code, answer.json["field"]) == (422, field)


@pytest.mark.parametrize("path", ["/machines/52:54:00:aa:aa:aa", "/attempts/1", "/groups/x", "/x"])
def test_what_is_not_there_is_404(site: Site, path: str) -> None:
    answer = Program.of(site).get(path)
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_a_method_that_is_not_there_is_405_with_those_that_are(site: Site) -> None:
    answer = Program.of(site).ask("POST", PATH)
    assert answer.status_code == 405
    assert {one.strip() for one in answer.headers["Allow"].split(",")} == {
        "GET",
        "HEAD",
        "OPTIONS",
        "PUT",
        "PATCH",
        "DELETE",
    }


def test_a_body_of_another_type_is_415(site: Site) -> None:
    site.add_machine()
    answer = Program.of(site).ask("PATCH", PATH, data={"name": "x"})
    assert answer.status_code == 415
    assert answer.json["detail"] == (
        "the body must be application/json, not application/x-www-form-urlencoded"
    )


def test_a_body_that_is_too_long_is_413(site: Site) -> None:
    site.add_machine()
    long = b'{"notes": "' + b"x" * 300_000 + b'"}'
    answer = Program.of(site).ask("PATCH", PATH, data=long, content_type="application/json")
    assert answer.status_code == 413
