"""What has changed, for pages that are open."""

from __future__ import annotations

from flask import Response

from bty_web.security import login_required
from bty_web.ui.blueprint import bp


@bp.get("/stream")
@login_required
def stream() -> Response:
    """Say that there is no stream: the page asks every few seconds."""
    return Response(status=204)
