"""`bty-tui` on the laptop of the manual, without a word that it is pretended.

Started as a program, with the words for the wizard; `user` in front is not root.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bty_agent.__main__ import run_main
from bty_agent.console import Console
from bty_agent.exits import Exit
from bty_agent.pretend.host import Pretended
from bty_agent.pretend.read import read_machine
from bty_agent.wizard import main as program

LAPTOP = Path(__file__).resolve().parents[1] / "machines/laptop.json"


def main(argv: list[str], console: Console) -> Exit:
    words = list(argv)
    user = words[0] == "user" and bool(words.pop(0))
    machine = read_machine(LAPTOP)
    if user:
        machine = replace(machine, root=False)
    with TemporaryDirectory(dir=".") as folder:
        host = Pretended(machine, Path(folder), console.say)
        return program.main(words, console, host)


if __name__ == "__main__":
    run_main(lambda argv, console: main(list(argv), console))
