"""What provisioning takes where nobody says otherwise; a module of its own, so that a parser need not load the rest."""

from __future__ import annotations

from pathlib import Path

CIJOE_REPORTS = Path("/var/log/bty/cijoe")
CIJOE_TIMEOUT = 3600.0  # seconds
