"""`bty` in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def program(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `bty argv` to its end."""
    command = [sys.executable, "-m", "bty_agent", *map(str, argv)]
    return subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False
    )
