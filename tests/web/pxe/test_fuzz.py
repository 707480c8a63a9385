"""Rubbish on every open route: never a traceback, never another dialect."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.pxe.walk import Boot, add_live_environment
from tests.web.site import MAC, Site

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    [
        "phase",
        "source_bytes",
        "disk_bytes",
        "total_bytes",
        "try",
        "bottleneck",
        "image",
        "disk",
        "bytes_written",
        "seconds",
        "code",
        "message",
        "hint",
        "log",
        "disks",
        "nics",
        "cpu",
        "memory_bytes",
        "firmware",
        "vendor",
        "product",
        "serial",
        "uuid",
        "boot_policy",
    ]
)
BODIES = st.dictionaries(FIELDS, JSON, max_size=8)
FEW = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@pytest.fixture(autouse=True)
def _live(site: Site) -> None:
    add_live_environment(site)


@FEW
@given(
    text=st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=60),
    query=st.dictionaries(
        st.sampled_from(["platform", "uuid", "serial", "product", "x"]), st.text(max_size=300)
    ),
)
def test_scripts(site: Site, text: str, query: dict[str, str]) -> None:
    for place in (quote(text, safe=""), str(MAC)):
        answer = site.client.get(f"/pxe/{place}", query_string=query)
        assert answer.status_code == 200
        assert answer.get_data(as_text=True).startswith("#!ipxe\n")


@FEW
@given(what=st.sampled_from(["inventory", "progress", "done", "failed", "policy"]), body=BODIES)
def test_reports(site: Site, what: str, body: dict[str, Any]) -> None:
    answer = Boot.of(site).post(what, body)
    assert answer.status_code in (200, 409, 422), answer.get_data(as_text=True)
    if answer.status_code != 200:
        assert answer.mimetype == "application/problem+json"
        assert answer.get_json()["detail"]


@FEW
@given(
    what=st.sampled_from(["inventory", "progress", "done", "failed", "policy", "attempts"]),
    body=st.binary(max_size=200) | st.just(b"[" * 100_000) | st.just(b'{"phase": "\\ud800"}'),
    header=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")),
)
def test_bytes_and_headers(site: Site, what: str, body: bytes, header: str) -> None:
    token = Boot.of(site).token
    for authorization in (header, f"Bearer {header}", f"bearer {token}"):
        answer = site.client.post(
            f"/pxe/{MAC}/{what}", data=body, headers={"Authorization": authorization}
        )
        assert answer.status_code in (200, 201, 401, 409, 413, 422, 429)
        if answer.status_code >= 400:
            assert json.loads(answer.get_data())["status"] == answer.status_code


@FEW
@given(path=st.text(max_size=40))
def test_paths(site: Site, path: str) -> None:
    for place in (f"/x{quote(path)}", f"/pxe/{MAC}/{quote(path, safe='')}"):
        assert site.client.get(place).status_code < 500
