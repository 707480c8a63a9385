"""``bty-media`` and ``python -m bty_media``."""

from __future__ import annotations

from bty_core.program.console import Console
from bty_core.program.start import run_program
from bty_media.main import main


def run() -> None:
    """Run the program and leave with its exit code."""
    run_program(lambda argv: main(argv, Console()))


if __name__ == "__main__":
    run()
