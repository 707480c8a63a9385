"""Sizes and digests: parsed once, printed one way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bty_core.errors import InvalidValue
from bty_core.values import Digest, MacAddress, parse_size, size_text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("500G", 500 * 10**9),
        ("500GB", 500 * 10**9),
        ("16GiB", 16 * 2**30),
        ("1.5T", 1_500_000_000_000),
        ("0.1k", 100),
        (" 2 mib ", 2 * 2**20),
    ],
)
def test_a_size_has_decimal_and_binary_units(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "12X", "-1", "1e3", "1 2", "٣", "10Gi B"])
def test_what_is_no_size_is_said_so(text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_size(text)
    assert caught.value.message == f"'{text}' is not a size"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (9_994_000, "9.99 MB"),
        (9_995_000, "10.0 MB"),
        (64_023_257_088, "64.0 GB"),
        (99_960_000_000, "100 GB"),
        (999_600_000_000, "1.00 TB"),
        (18_000_207_937_536, "18.0 TB"),
        (2 * 10**15, "2000 TB"),
    ],
)
def test_a_size_reads_like_the_label_of_a_disk(size: int, text: str) -> None:
    assert size_text(size) == text


@given(st.integers(min_value=0, max_value=10**18))
def test_a_printed_size_is_near_what_it_stands_for(size: int) -> None:
    assert abs(parse_size(size_text(size)) - size) <= size * 0.006


def test_a_digest_is_read_in_each_spelling() -> None:
    hexadecimal = "ab" * 32
    assert (
        Digest.parse(hexadecimal.upper())
        == Digest.parse(f" sha256:{hexadecimal}\n")
        == Digest(hexadecimal)
    )
    assert str(Digest(hexadecimal)) == f"sha256:{hexadecimal}"


@pytest.mark.parametrize("text", ["", "ab" * 31, "ab" * 33, "xy" * 32, "md5:" + "ab" * 16])
def test_what_is_no_digest_is_said_so(text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        Digest.parse(text)
    assert caught.value.message == f"'{text}' is not a SHA-256 digest"


@pytest.mark.parametrize(
    "text",
    ["52:54:00:AB:cd:01", "52-54-00-ab-cd-01", "525400abcd01", " 52:54:00:ab:cd:01 "],
)
def test_a_mac_address_has_one_spelling(text: str) -> None:
    mac = MacAddress.parse(text)
    assert (str(mac), mac.hyphens) == ("52:54:00:ab:cd:01", "52-54-00-ab-cd-01")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "52:54:00:ab:cd",
        "52:54-00:ab:cd:01",
        "52:54:00:ab:cd:0g",
        "52:54:00:ab:cd:01:02",
        "5254.00ab.cd01",
        "00:00:00:00:00:00",
        "ff:ff:ff:ff:ff:ff",
        "01:00:5e:00:00:01",
    ],
)
def test_what_is_no_machines_mac_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        MacAddress.parse(text)
