"""The first page: what needs attention, what is under way, and how much there is."""

from __future__ import annotations

from flask import render_template

from bty_web.security import login_required
from bty_web.ui.blueprint import bp


@bp.get("/")
@login_required
def dashboard() -> str:
    """Show what needs attention first."""
    return render_template("dashboard/dashboard.html")
