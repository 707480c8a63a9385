"""Values that travel: parsed once, compared by meaning, printed one way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from bty_core.errors import InvalidValue

_UNITS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", re.IGNORECASE | re.ASCII)

KIB = 2**10
MIB = 2**20
GIB = 2**30


def parse_size(text: str) -> int:
    """Return the bytes meant by `text`: ``10G`` is 10^10, ``10GiB`` is 10 * 2^30, a bare number is bytes."""
    found = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(found[2].lower()) if found else None
    if found is None or unit is None:
        raise InvalidValue(
            f"'{text}' is not a size",
            hint="write a number with a unit, for example 500G, 16GiB or 4096",
        )
    whole, _, fraction = found[1].partition(".")
    return int(whole) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)


def size_text(size: int) -> str:
    """Return `size` in bytes as a person reads it on the label of a disk: decimal units, three digits."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 999.5 or unit == "TB":
            return f"{size} B" if unit == "B" else f"{_three_digits(amount)} {unit}"
        amount /= 1000
    raise AssertionError("unreachable")


def _three_digits(amount: float) -> str:
    if amount < 9.995:
        return f"{amount:.2f}"
    return f"{amount:.1f}" if amount < 99.95 else f"{amount:.0f}"


@dataclass(frozen=True, slots=True)
class Digest:
    """A SHA-256 digest, kept as 64 lower-case hexadecimal digits."""

    hex: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``9f86…`` or ``sha256:9f86…``, in any case; raise `InvalidValue` for anything else."""
        digits = text.strip().lower().removeprefix("sha256:")
        if not re.fullmatch(r"[0-9a-f]{64}", digits):
            raise InvalidValue(
                f"'{text}' is not a SHA-256 digest", hint="give the 64 hexadecimal digits"
            )
        return cls(digits)

    def __str__(self) -> str:
        return f"sha256:{self.hex}"


@dataclass(frozen=True, slots=True, order=True)
class MacAddress:
    """An Ethernet address, kept in lower case with colons."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``52:54:00:12:34:56``, ``52-54-…`` or ``525400123456``, in any case.

        Raise `InvalidValue` for anything else, and for the addresses that no interface has of its
        own: all zeros, broadcast and multicast.
        """
        found = re.fullmatch(
            r"[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}|[0-9a-f]{12}",
            text.strip().lower(),
        )
        if found is None:
            raise InvalidValue(
                f"'{text[:40]}' is not a MAC address", hint="write it as 52:54:00:12:34:56"
            )
        digits = re.sub(r"[:-]", "", found[0])
        if int(digits[:2], 16) & 1 or set(digits) == {"0"}:
            raise InvalidValue(f"'{text[:40]}' is not the MAC address of one machine")
        return cls(":".join(digits[at : at + 2] for at in range(0, 12, 2)))

    @property
    def hyphens(self) -> str:
        """The address as iPXE's ``${mac:hexhyp}`` writes it."""
        return self.text.replace(":", "-")

    def __str__(self) -> str:
        return self.text
