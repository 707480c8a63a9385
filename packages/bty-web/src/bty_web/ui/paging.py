"""Which page of a list an address asks for."""

from __future__ import annotations

from flask import request

MOST = 10**6


def page_number() -> int:
    """Return the page's number, 1 where the address names none."""
    return _number("page", 1)


def page_size(allowed: tuple[int, ...], usual: int) -> int:
    """Return how many rows a page has: one of `allowed`."""
    found = _number("size", usual)
    return found if found in allowed else usual


def _number(name: str, usual: int) -> int:
    text = request.values.get(name, "")
    return min(int(text), MOST) if text.isdecimal() and len(text) < 9 else usual
