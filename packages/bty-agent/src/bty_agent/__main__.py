"""``bty`` and ``python -m bty_agent``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

from bty_agent.console import Console
from bty_agent.exits import Exit
from bty_agent.main import main
from bty_core.program.start import run_program


def run() -> None:
    """Run ``bty`` and leave with its exit code."""
    run_main(main)


def run_main(program: Callable[[Sequence[str], Console], Exit]) -> NoReturn:
    """Run a program of this package on the words and streams of this process; leave with its exit code."""
    run_program(lambda argv: program(argv, Console()))


if __name__ == "__main__":
    run()
