"""What may go wrong when nobody looks, beside what goes wrong with any flash."""

from __future__ import annotations

from bty_core.errors import ImageUnavailable, Refused


class PlanIncomplete(Refused):
    """The server wants a flash and does not say of which image or onto which disk, or not so that it makes sense."""

    code = "plan-incomplete"


class CannotProvision(Refused):
    """The plan wants a provisioning mode that this version does not have."""

    code = "cannot-provision"


class Unreported(ImageUnavailable):
    """The image is on the disk, and the server does not know it."""

    code = "unreported"
