"""Sizes, rates and times as a person reads them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from flask import Flask

from bty_core.values import size_text
from bty_web.models import Attempt
from bty_web.services import clock
from bty_web.ui.words import policy_name, policy_text

_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"))


def init_app(app: Flask) -> None:
    """Let templates use them."""
    app.add_template_filter(size, "size")
    app.add_template_filter(rate, "rate")
    app.add_template_filter(ago, "ago")
    app.add_template_filter(duration, "duration")
    app.add_template_filter(seconds_under_way, "seconds_under_way")
    app.add_template_filter(time_left, "time_left")
    app.add_template_filter(policy_name, "policy_name")
    app.add_template_filter(policy_text, "policy_text")
    app.add_template_filter(zipped, "zipped")


def size(value: int | None) -> str:
    """Return bytes in decimal units; a hyphen where nobody knows."""
    return "-" if value is None else size_text(value)


def rate(value: float | None) -> str:
    """Return bytes a second."""
    return "-" if value is None else f"{size_text(int(value))}/s"


def duration(seconds: float | None) -> str:
    """Return how long something takes, in its largest fitting units."""
    if seconds is None:
        return "-"
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def ago(at: datetime | None) -> str:
    """Return how long `at` was ago."""
    if at is None:
        return "never"
    seconds = (clock.now() - at).total_seconds()
    if seconds < 5:
        return "now"
    for below, unit, name in _STEPS:
        if seconds < below:
            return f"{int(seconds // unit)} {name} ago"
    days = int(seconds // 86400)
    return f"{days} day{'s' if days != 1 else ''} ago" if days < 60 else at.strftime("%Y-%m-%d")


def zipped(words: Iterable[str]) -> list[tuple[str, str]]:
    """Return choices whose text is their value."""
    return [(word, word) for word in words]


def seconds_under_way(attempt: Attempt) -> float:
    """Return for how long an attempt has been there."""
    return ((attempt.ended_at or clock.now()) - attempt.started_at).total_seconds()


def time_left(attempt: Attempt) -> str | None:
    """Return how long an attempt goes on at its present rate; None where nobody can know."""
    if not attempt.total_bytes or not attempt.bytes_per_second:
        return None
    left = attempt.total_bytes - attempt.disk_bytes
    if left <= 0:
        return "finishing"  # caches are emptied, the table is read again: no rate tells how long
    seconds = left / attempt.bytes_per_second
    return "a moment left" if seconds < 1 else f"{duration(seconds)} left"
