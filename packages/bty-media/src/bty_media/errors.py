"""Failures of building, keeping and handing out media that have a name."""

from __future__ import annotations

from bty_core.errors import BtyError, ImageCorrupt, ImageUnavailable, Refused


class BuildFailed(BtyError):
    """A medium could not be built."""

    code = "build-failed"


class NoMirror(BtyError):
    """No mirror of Debian is known, or none answers."""

    code = "no-mirror"


class BuildDamaged(ImageCorrupt):
    """A build is not what its manifest says."""

    code = "build-damaged"


class CannotBuild(Refused):
    """This machine does not let a build happen, or has no room for it."""

    code = "cannot-build"


class StickTooSmall(Refused):
    """The images do not fit onto the stick, behind the live environment."""

    code = "stick-too-small"


class ServerAway(ImageUnavailable):
    """The server that should get a network environment cannot be reached, or fails."""

    code = "server-away"


class NotInstalled(Refused):
    """The server does not take the network environment."""

    code = "not-installed"
