"""The words for bty on the kernel command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bty_core.errors import BtyError, InvalidValue
from bty_core.values import MacAddress
from bty_core.wire.plan import Mode

CMDLINE = Path("/proc/cmdline")


@dataclass(frozen=True, slots=True, kw_only=True)
class BootLine:
    """What the boot script said; None where it did not."""

    mode: Mode | None = None
    server: str | None = None
    mac: MacAddress | None = None
    attempt: int | None = None
    token: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the ``bty.`` words of a command line; the last one of a name counts.

        Raises `InvalidValue` for one whose value cannot be.
        """
        words = {
            name.removeprefix("bty."): value
            for word in text.split()
            for name, _, value in [word.partition("=")]
            if name.startswith("bty.") and value
        }
        mode, mac, attempt = words.get("mode"), words.get("mac"), words.get("attempt")
        if mode is not None and mode not in Mode.__members__.values():
            raise _wrong("mode", mode, "interactive or auto")
        if attempt is not None and not (attempt.isascii() and attempt.isdecimal()):
            raise _wrong("attempt", attempt, "a number")
        return cls(
            mode=Mode(mode) if mode else None,
            server=words.get("server"),
            mac=MacAddress.parse(mac) if mac else None,
            attempt=int(attempt) if attempt else None,
            token=words.get("token"),
        )

    def token_for(self, mac: MacAddress) -> str | None:
        """Return the token where it belongs to the machine with this address."""
        return self.token if mac == self.mac else None


def read_boot_line(path: Path = CMDLINE) -> BootLine:
    """Read the kernel command line, or the file that stands for it; raise `InvalidValue`."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError as error:
        raise InvalidValue(
            f"the kernel command line {path} cannot be read: {error.strerror}"
        ) from error
    try:
        return BootLine.parse(text)
    except BtyError as error:
        raise InvalidValue(
            f"on the kernel command line: {error.message}", hint=error.hint
        ) from error


def _wrong(name: str, value: str, wanted: str) -> InvalidValue:
    return InvalidValue(f"bty.{name}={value[:40]} is not {wanted}")
