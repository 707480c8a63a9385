"""``bty-appliance probe``: asks a network who answers network boots, for the Settings page.

bty-web may not send raw packets. It names an interface and a number of its own; the answer carries that number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bty_core.errors import BtyError, InvalidValue
from bty_core.wire.fields import Fields, InvalidField
from bty_web.appliance import wishes
from bty_web.dhcp.durable import write_durably
from bty_web.dhcp.matrix import Matrix, Result
from bty_web.dhcp.probe import probe
from bty_web.dhcp.values import interface_name
from bty_web.services.appliance import PROBE, PROBE_REQUEST, SCHEMA_VERSION

_NUMBER = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What bty-web wants to know."""

    number: str
    interface: str

    @classmethod
    def from_wire(cls, text: bytes) -> Request:
        """Read it; raise `InvalidValue` for anything but a number and the name of an interface."""
        try:
            given = Fields(json.loads(text))
        except (ValueError, RecursionError):
            raise InvalidValue("the request is not JSON") from None
        if given.text("schema_version") != SCHEMA_VERSION:
            raise InvalidField("schema_version", "this request is of another version of bty")
        number = given.text("number")
        if not _NUMBER.fullmatch(number):
            raise InvalidField("number", "'number' must be 32 hexadecimal digits")
        return cls(number=number, interface=interface_name(given.text("interface")))


def answer(
    state_dir: Path, folder: Path, ask: Callable[[str], Sequence[Result]] = probe
) -> str | None:
    """Do what the request says and write the result into `folder`; return a sentence, None without a request.

    Raises `InvalidValue` for a request that cannot be.
    """
    text = wishes.read(state_dir, PROBE_REQUEST)
    if text is None:
        return None
    request = Request.from_wire(text)
    told: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "number": request.number}
    try:
        told["result"] = Matrix(
            interface=request.interface, results=tuple(ask(request.interface))
        ).wire()
        said = f"asked on {request.interface}"
    except BtyError as error:
        told["error"] = {"code": error.code, "message": error.message, "hint": error.hint}
        said = f"could not ask on {request.interface}: {error.message}"
    write_durably(folder / PROBE, json.dumps(told).encode())
    return said
