"""Small files beside an image."""

from __future__ import annotations

import pytest

from bty_core.errors import ImageUnavailable
from bty_core.images.exchange import Span
from bty_core.images.http import HttpSource
from tests.core.images.http_checks import (
    DATA,
    FAST,
    source_of,
)
from tests.fakes.server import Fault, ImageServer


def test_a_file_beside() -> None:
    with ImageServer(DATA, files={"a b.sha256": b"sums"}) as server:
        source = HttpSource(f"{server.url}?token=1", settings=FAST)

        assert source.beside("a b.sha256") == b"sums"
        assert server.seen[0].path == "/images/a%20b.sha256?token=1"
        assert source.beside("SHA256SUMS") is None


@pytest.mark.parametrize("text", [b"<!DOCTYPE html>", b" \n<html>", bytes((1 << 20) + 1)])
def test_a_file_beside_that_is_none(text: bytes) -> None:
    with ImageServer(DATA, files={"SHA256SUMS": text}) as server:
        assert source_of(server).beside("SHA256SUMS") is None


def test_a_page_in_place_of_a_file_beside() -> None:
    with ImageServer(DATA) as server:
        page = Fault(headers={"Content-Type": "Text/HTML; charset=utf-8"})
        server.answers["/images/SHA256SUMS"] = page

        assert source_of(server).beside("SHA256SUMS") is None


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_file_beside_that_may_not_be_seen(status: int) -> None:
    with ImageServer(DATA) as server:
        server.answers["/images/SHA256SUMS"] = Fault(status=status)

        assert source_of(server).beside("SHA256SUMS") is None
        assert len(server.seen) == 1


def test_a_server_that_fails_over_a_file_beside() -> None:
    with ImageServer(DATA) as server:
        server.answers["/images/SHA256SUMS"] = Fault(status=500)
        with pytest.raises(ImageUnavailable) as caught:
            source_of(server).beside("SHA256SUMS")
        assert str(caught.value) == (
            f"{server.url_of('SHA256SUMS')} cannot be read: "
            "the server answered 500 Internal Server Error"
        )
        assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("bytes 0-9/10", Span(0, 9, 10)),
        ("bytes 0-9/*", Span(0, 9, None)),
        ("bytes */10", Span(None, None, 10)),
        ("bytes 0-10/10", None),
        ("bytes 5-4/10", None),
        ("bytes -5/10", None),
        ("bytes \u0663-\u0664/10", None),
        (None, None),
    ],
)
def test_spans(text: str | None, span: Span | None) -> None:
    assert Span.parse(text) == span
    assert span is None or str(span) == text
