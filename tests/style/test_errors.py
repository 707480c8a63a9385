"""Each failure that has a name has a code of its own."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import Counter

import bty_agent
import bty_core
import bty_media
import bty_web
from bty_core.errors import BtyError


def failures() -> list[type[BtyError]]:
    """Return every BtyError of each package, wherever it is declared."""
    for package in (bty_core, bty_agent, bty_media, bty_web):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found: list[type[BtyError]] = [BtyError]
    for kind in found:  # grows while it is walked
        found += [below for below in kind.__subclasses__() if below not in found]
    return [
        kind
        for kind in found
        if kind.__module__.startswith(("bty_core.", "bty_agent.", "bty_media.", "bty_web."))
    ]


def test_codes_are_unique_and_readable() -> None:
    # A class that says no code of its own carries others: Refusals speaks with its first reason.
    codes = Counter(kind.__dict__["code"] for kind in failures() if "code" in kind.__dict__)
    assert [code for code, number in codes.items() if number > 1] == []
    assert [code for code in codes if not re.fullmatch(r"[a-z]+(-[a-z]+)*", code)] == []


def test_each_failure_says_what_it_is() -> None:
    assert [kind.__name__ for kind in failures() if not (kind.__doc__ or "").strip()] == []
    silent = [kind.__name__ for kind in failures() if "code" not in kind.__dict__]
    assert silent == ["Refusals"]
