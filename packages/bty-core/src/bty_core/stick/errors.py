"""What can be wrong with a stick."""

from __future__ import annotations

from bty_core.errors import Refused


class NotAStick(Refused):
    """The disk carries no live environment, or has no room for images."""

    code = "not-a-stick"


class StickOccupied(Refused):
    """The partition for images holds something that is no exFAT, which bty does not touch."""

    code = "stick-occupied"
