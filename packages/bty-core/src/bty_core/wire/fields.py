"""Reading foreign JSON: a missing or wrong field is named, an unknown one is ignored."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeVar, overload

from bty_core.errors import InvalidValue

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

LARGEST = 2**63 - 1  # what a database keeps in one integer
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


class InvalidField(InvalidValue):
    """A field of a message is missing or wrong; `field` is its name, with dots and indexes."""

    code = "invalid-field"

    def __init__(self, field: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.field = field


class Fields:
    """One JSON object whose fields are read by name. `where` is its own name in the message."""

    def __init__(self, value: object, where: str = "") -> None:
        if not isinstance(value, Mapping):
            name = where or "the message"
            raise InvalidField(where, f"{name} must be a JSON object, not {_kind(value)}")
        self._values: Mapping[str, Any] = value
        self._where = where

    def name(self, field: str) -> str:
        """Return the whole name of `field`, as a message calls it."""
        return f"{self._where}.{field}" if self._where else field

    def has(self, field: str) -> bool:
        """Whether `field` is there and not null."""
        return self._values.get(field) is not None

    def integer(self, field: str) -> int:
        """Return a whole number, not negative and small enough for a database."""
        value = self._required(field)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
            raise self._wrong(field, f"a whole number from 0 to {LARGEST}", value)
        return value

    def text(self, field: str, *, most: int = 200) -> str:
        """Return a text of at most `most` characters, without control characters."""
        value = self._required(field)
        if not isinstance(value, str):
            raise self._wrong(field, "a text", value)
        if len(value) > most:
            raise InvalidField(
                self.name(field),
                f"'{self.name(field)}' is longer than {most} characters: {len(value)}",
            )
        return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value)

    def texts(self, field: str, *, most: int, longest: int = 200) -> tuple[str, ...]:
        """Return the texts of the array in `field`, at most `most`, of at most `longest` characters."""
        value = self._required(field)
        if not isinstance(value, list):
            raise self._wrong(field, "an array", value)
        if len(value) > most:
            raise self._too_many(field, most, value)
        items = Fields({f"{field}[{at}]": item for at, item in enumerate(value)}, self._where)
        return tuple(items.text(f"{field}[{at}]", most=longest) for at in range(len(value)))

    def number(self, field: str) -> float:
        """Return a number that is finite and not negative."""
        value = self._required(field)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(field, "a number", value)
        if not 0 <= value <= LARGEST:
            raise self._wrong(field, "a number that is not negative", value)
        return float(value)

    def boolean(self, field: str) -> bool:
        """Return true or false."""
        value = self._required(field)
        if not isinstance(value, bool):
            raise self._wrong(field, "true or false", value)
        return value

    def choice(self, field: str, kind: type[E]) -> E:
        """Return one of the words of `kind`."""
        value = self._required(field)
        try:
            return kind(value)
        except ValueError:
            allowed = ", ".join(word.value for word in kind)
            raise self._wrong(field, f"one of {allowed}", value) from None

    def fields(self, field: str) -> Fields:
        """Return the JSON object in `field`."""
        return Fields(self._required(field), self.name(field))

    def many(self, field: str, *, most: int) -> list[Fields]:
        """Return the JSON objects of the array in `field`, at most `most`."""
        value = self._required(field)
        if not isinstance(value, list):
            raise self._wrong(field, "an array", value)
        if len(value) > most:
            raise self._too_many(field, most, value)
        return [Fields(item, f"{self.name(field)}[{at}]") for at, item in enumerate(value)]

    @overload
    def optional(self, read: Callable[[str], T], field: str) -> T | None: ...
    @overload
    def optional(self, read: Callable[[str], T], field: str, default: T) -> T: ...
    def optional(self, read: Callable[[str], T], field: str, default: T | None = None) -> T | None:
        """Return what `read` makes of `field`, or `default` where it is missing or null."""
        return read(field) if self.has(field) else default

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Raise for a field that is not among `known`: what a person has mistyped has no effect elsewhere."""
        for field in self._values:
            if field not in known:
                close = get_close_matches(str(field), known, n=1)
                raise InvalidField(
                    self.name(str(field)),
                    f"there is no field '{_CONTROL.sub('?', self.name(str(field))[:80])}'",
                    hint=f"is {close[0]} meant?" if close else None,
                )

    def _required(self, field: str) -> Any:
        value = self._values.get(field)
        if value is None:
            raise InvalidField(self.name(field), f"'{self.name(field)}' is missing")
        return value

    def _too_many(self, field: str, most: int, value: list[Any]) -> InvalidField:
        name = self.name(field)
        return InvalidField(name, f"'{name}' has more than {most} entries: {len(value)}")

    def _wrong(self, field: str, wanted: str, value: object) -> InvalidField:
        shown = repr(value) if isinstance(value, int | float | bool) else _kind(value)
        if isinstance(value, str):
            shown = f"'{_CONTROL.sub('?', value[:40])}'"
        return InvalidField(
            self.name(field), f"'{self.name(field)}' must be {wanted}, not {shown[:60]}"
        )


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case list():
            return "an array"
        case _:
            return "an object"
