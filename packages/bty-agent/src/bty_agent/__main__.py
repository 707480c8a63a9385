"""``bty`` and ``python -m bty_agent``."""

from __future__ import annotations

import sys

from bty_agent.console import Console
from bty_agent.main import main


def run() -> None:
    """Run the program and leave with its exit code."""
    raise SystemExit(main(sys.argv[1:], Console()))


if __name__ == "__main__":
    run()
