"""The demo's server keeps what HTTP promises about ranges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tools.served import served

CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "image").write_bytes(CONTENT)
    with served(tmp_path) as address:
        yield f"{address}/image"


def test_a_whole_file(url: str) -> None:
    answer = requests.get(url, timeout=10)
    assert (answer.status_code, answer.content) == (200, CONTENT)


def test_head_says_the_length_and_sends_nothing(url: str) -> None:
    answer = requests.head(url, timeout=10)
    assert (answer.headers["Content-Length"], answer.content) == (str(len(CONTENT)), b"")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=1000-", 1000, len(CONTENT)),
        ("bytes=5-9", 5, 10),
        ("bytes=9-99999999", 9, len(CONTENT)),
    ],
)
def test_a_range(url: str, asked: str, start: int, end: int) -> None:
    answer = requests.get(url, headers={"Range": asked}, timeout=10)
    assert (answer.status_code, answer.content) == (206, CONTENT[start:end])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"


def test_a_range_of_another_file_is_the_whole_one(url: str, tmp_path: Path) -> None:
    etag = requests.head(url, timeout=10).headers["ETag"]
    headers = {"Range": "bytes=1000-", "If-Range": etag}
    assert requests.get(url, headers=headers, timeout=10).status_code == 206
    (tmp_path / "image").write_bytes(b"new")
    answer = requests.get(url, headers=headers, timeout=10)
    assert (answer.status_code, answer.content) == (200, b"new")


def test_a_range_behind_the_end_and_a_file_that_is_not_there(url: str) -> None:
    behind = requests.get(url, headers={"Range": f"bytes={len(CONTENT)}-"}, timeout=10)
    assert (behind.status_code, behind.headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")
    assert requests.get(f"{url}-not", timeout=10).status_code == 404
    assert requests.get(f"{url}/../../etc/passwd", timeout=10).status_code == 404
