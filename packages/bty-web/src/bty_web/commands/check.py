"""``bty-web check``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from bty_core.errors import BtyError
from bty_web.console import Console
from bty_web.exits import Exit
from bty_web.online.readiness import LOOKS
from bty_web.services import preferences, readiness
from bty_web.services.readiness import Weight
from bty_web.settings import DECLARED, FOLDERS, Settings, load


def run(_arguments: argparse.Namespace, console: Console) -> Exit:
    """Print every setting and where it comes from, then what was looked at."""
    settings = _effective(load())
    for line in _table(_settings(settings)):
        console.data(line)
    console.data("")
    found = readiness.examine(settings, LOOKS)
    for line in _table((f"{one.weight}", one.what, one.message) for one in found):
        console.data(line)
    for one in found:
        if one.weight is not Weight.GOOD and one.hint:
            console.say(f"hint: {one.what}: {one.hint}")
    faults = [one.what for one in found if one.weight is Weight.FAULT]
    if faults:
        console.say(f"bty-web: not fit to serve: {', '.join(faults)}")
        return Exit.REFUSED
    return Exit.DONE


def _effective(settings: Settings) -> Settings:
    try:
        with readiness.opened(settings) as session:
            return preferences.effective(session, settings)
    except BtyError:  # said below, among what was looked at
        return settings


def _settings(settings: Settings) -> Iterator[tuple[str, ...]]:
    for name in DECLARED:
        source = settings.came_from.get(name)
        if source is None:
            derived = name in FOLDERS and settings.came_from.get("state_dir")
            source = "state_dir" if derived else "default"
        yield f"{name} = {_shown(name, getattr(settings, name))}", f"from {source}"


def _shown(name: str, value: object) -> str:
    if name == "database_url" and value:
        try:
            return make_url(str(value)).render_as_string(hide_password=True)
        except ArgumentError:
            return "***"
    if DECLARED[name]["secret"] and value:
        return readiness.without_password(str(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value not in ("", None) else "(empty)"


def _table(rows: Iterator[tuple[str, ...]]) -> list[str]:
    """Return rows as lines, each column but the last as wide as its widest cell."""
    listed = list(rows)
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)][:-1]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in listed
    ]
