"""Requests read by their declaration: what is wrong is named, all of it at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import UnsupportedMediaType

from bty_core.errors import ImageCorrupt, InvalidValue
from bty_core.values import MacAddress
from bty_core.wire.fields import InvalidField
from bty_web.api.fields import LARGEST_ID, Body
from bty_web.errors import InvalidRequest
from bty_web.extensions import db
from bty_web.incoming import bytes_of_request

M = TypeVar("M", bound=BaseModel)
B = TypeVar("B", bound=Body)
MOST_FAULTS = 20
JSON = "application/json"


def path_value(name: str, text: str) -> Any:
    """Return the value of the placeholder `name` of a path; raise `InvalidField`."""
    match name:
        case "mac":
            return mac_address("mac", text)
        case "id":
            if not (text.isascii() and text.isdecimal() and len(text) <= 10):
                raise InvalidField(
                    "id", f"'{text[:40]}' is not a whole number from 1 to {LARGEST_ID}"
                )
            if not 1 <= int(text) <= LARGEST_ID:
                raise InvalidField(
                    "id", f"'{text[:40]}' is not a whole number from 1 to {LARGEST_ID}"
                )
            return int(text)
        case _:
            if len(text) > 255 or any(ord(one) < 32 or ord(one) == 127 for one in text):
                raise InvalidField(
                    name, f"'{name}' has 1 to 255 characters, none a control character"
                )
            if "\N{REPLACEMENT CHARACTER}" in text:  # what bytes that are no UTF-8 become
                raise InvalidField(name, f"'{name}' is not valid UTF-8")
            return text


def mac_address(field: str, text: str) -> MacAddress:
    """Return the MAC address in `field`; raise `InvalidField`."""
    try:
        return MacAddress.parse(text)
    except InvalidValue as error:
        raise InvalidField(field, error.message, hint=error.hint) from error


def query(model: type[M]) -> M:
    """Return the query as `model`; raise `InvalidRequest`."""
    twice = [name for name, values in request.args.lists() if len(values) > 1]
    if twice:
        raise InvalidRequest([(name, f"'{name}' is given more than once") for name in twice])
    try:
        return model.model_validate(request.args.to_dict())
    except ValidationError as error:
        raise _refused(error, "this query") from error


def body(model: type[B]) -> B:
    """Return the JSON body as `model`; raise `InvalidRequest`, or what is answered 413 or 415."""
    if request.mimetype != JSON:
        raise UnsupportedMediaType(
            f"the body must be {JSON}, not {request.mimetype[:80] or 'untold'}"
        )
    request.max_content_length = model.most_bytes
    try:
        return model.model_validate_json(request.get_data(cache=False))
    except ValidationError as error:
        raise _refused(error, "this request") from error


def stream(media_type: str) -> None:
    """Refuse a body that is plainly no `media_type`; one that says nothing of its type is taken for it."""
    if request.mimetype not in ("", media_type):
        raise UnsupportedMediaType(f"the body must be {media_type}, not {request.mimetype[:80]}")


class Incoming:
    """The bytes of this request as they arrive, however many there are."""

    def __init__(self) -> None:
        self.length = request.content_length  # None where the client does not say
        self._stream = bytes_of_request()
        self._got = 0

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end; raise `ImageCorrupt` where the client breaks off."""
        try:
            found = self._stream.read(size)
        except Exception as error:  # each HTTP server has failures of its own
            raise ImageCorrupt(
                f"the body broke off after {self._got} bytes", hint="send it again"
            ) from error
        self._got += len(found)
        return found


def incoming() -> Incoming:
    """Return the body, to be read for a long time: this request lets go of the database before."""
    db.session.remove()
    return Incoming()


def whole(most: int) -> bytes:
    """Return the body, of which at most one byte more than `most` is read."""
    body = incoming()
    data = bytearray()
    while len(data) <= most and (piece := body.read(most + 1 - len(data))):
        data += piece
    return bytes(data)


def _refused(error: ValidationError, what: str) -> InvalidRequest:
    faults: list[tuple[str, str]] = []
    for one in error.errors(include_url=False, include_input=False)[:MOST_FAULTS]:
        name = _name(one["loc"])
        faults.append((name, _told(name, one["type"], one["msg"], what)))
    return InvalidRequest(faults)


def _name(loc: Sequence[int | str]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part[:80]}" for part in loc)
    return text.removeprefix(".")


def _told(name: str, kind: str, said: str, what: str) -> str:
    match kind:
        case "missing":
            return f"'{name}' is missing"
        case "extra_forbidden":
            return f"{what} has no '{name}'"
        case "json_invalid":
            return f"the body is not valid JSON: {said.removeprefix('Invalid JSON: ')}"
        case "string_pattern_mismatch":
            return f"'{name}' has characters or a form that it cannot have"
        case _:
            pass
    told = said[:1].lower() + said[1:]
    return f"'{name}': {told}" if name else f"the body: {told}"
