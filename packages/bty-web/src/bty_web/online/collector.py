"""The program that prints the facts of a machine."""

from __future__ import annotations

from importlib import resources


def program() -> str:
    """Return it, for /bin/sh."""
    return resources.files("bty_web.online").joinpath("collect.sh").read_text()
