"""Failures of building that have a name."""

from __future__ import annotations

from bty_core.errors import BtyError


class BuildFailed(BtyError):
    """A medium could not be built."""

    code = "build-failed"


class NoMirror(BtyError):
    """No mirror of Debian is known, or none answers."""

    code = "no-mirror"
