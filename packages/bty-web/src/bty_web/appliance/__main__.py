"""``bty-appliance`` and ``python -m bty_web.appliance``."""

from __future__ import annotations

from bty_core.program.start import run_program
from bty_web.appliance.main import main
from bty_web.console import Console


def run() -> None:
    """Run the program and leave with its exit code."""
    run_program(lambda argv: main(argv, Console()))


if __name__ == "__main__":
    run()
