"""Foreign JSON: what is missing or wrong is named, what is unknown is ignored."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bty_core.wire.fields import LARGEST, Fields, InvalidField


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


MESSAGE = {
    "size": 5,
    "name": "sda",
    "rate": 1.5,
    "on": True,
    "colour": "red",
    "inner": {"deep": {"x": 1}},
    "many": [{"a": 1}, {"a": "x"}],
    "nothing": None,
}


def test_values_of_the_right_kind() -> None:
    given_ = Fields(MESSAGE)
    assert given_.integer("size") == 5
    assert given_.text("name") == "sda"
    assert given_.number("rate") == 1.5
    assert given_.number("size") == 5.0
    assert given_.boolean("on") is True
    assert given_.choice("colour", Colour) is Colour.RED
    assert given_.fields("inner").fields("deep").integer("x") == 1
    assert [one.name("a") for one in given_.many("many", most=2)] == ["many[0].a", "many[1].a"]


@pytest.mark.parametrize(
    ("read", "field", "message"),
    [
        (lambda f: f.integer("gone"), "gone", "'gone' is missing"),
        (lambda f: f.integer("nothing"), "nothing", "'nothing' is missing"),
        (lambda f: f.integer("on"), "on", f"'on' must be a whole number from 0 to {LARGEST}, not True"),
        (lambda f: f.integer("rate"), "rate", f"'rate' must be a whole number from 0 to {LARGEST}, not 1.5"),
        (lambda f: f.text("size"), "size", "'size' must be a text, not 5"),
        (lambda f: f.text("name", most=2), "name", "'name' is longer than 2 characters: 3"),
        (lambda f: f.number("name"), "name", "'name' must be a number, not 'sda'"),
        (lambda f: f.boolean("size"), "size", "'size' must be true or false, not 5"),
        (lambda f: f.choice("name", Colour), "name", "'name' must be one of red, blue, not 'sda'"),
        (lambda f: f.fields("name"), "name", "name must be a JSON object, not a text"),
        (lambda f: f.many("name", most=1), "name", "'name' must be an array, not 'sda'"),
        (lambda f: f.many("many", most=1), "many", "'many' has more than 1 entries: 2"),
        (lambda f: f.many("many", most=2)[1].integer("a"), "many[1].a",
         f"'many[1].a' must be a whole number from 0 to {LARGEST}, not 'x'"),
        (lambda f: f.fields("inner").fields("deep").text("x"), "inner.deep.x",
         "'inner.deep.x' must be a text, not 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(read: Callable[[Fields], object], field: str, message: str) -> None:
    with pytest.raises(InvalidField) as caught:
        read(Fields(MESSAGE))
    assert (caught.value.field, caught.value.message) == (field, message)


@pytest.mark.parametrize("number", [-1, 2**63, float("nan"), float("inf"), -0.5])
def test_numbers_that_no_database_keeps(number: float) -> None:
    with pytest.raises(InvalidField):
        Fields({"x": number}).number("x")
    with pytest.raises(InvalidField):
        Fields({"x": number}).integer("x")


@given(st.text())
def test_texts_lose_their_control_characters(text: str) -> None:
    found = Fields({"x": text}).text("x", most=len(text) + 1)
    assert len(found) == len(text)
    assert not any(ord(one) < 32 and one not in "\t\n" for one in found)
    found.encode()


def test_what_is_optional_may_be_missing_or_null() -> None:
    given_ = Fields(MESSAGE)
    assert given_.optional(given_.integer, "gone") is None
    assert given_.optional(given_.integer, "nothing", 7) == 7
    assert given_.optional(given_.integer, "size", 7) == 5
