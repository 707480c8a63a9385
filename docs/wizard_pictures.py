"""Pictures of the wizard, step by step: `nox -s pictures` makes docs/pictures/wizard/*.svg again.

The wizard itself runs on a pseudo terminal of 80x24, on a computer that does not exist, with a real server. What the
terminal shows at each step is kept as a picture, in the order in which a person sees it.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

from docs.pictures import draw
from tests.agent.wizard.person import Person
from tests.agent.wizard.tour import COLUMNS, SERVER, settled, walk

INTO = Path(__file__).resolve().parent / "pictures" / "wizard"
NAMES = (
    "images",
    "images-none",
    "disks",
    "disks-removable",
    "summary",
    "name",
    "failed",
    "result",
    "server-images",
    "writing",
    "stop",
    "server-policy",
    "server-untold",
    "server-away",
    "notice",
)
_COLOURS = {"red": 31, "green": 32, "brown": 33, "blue": 34, "magenta": 35, "cyan": 36}


def main() -> int:
    """Walk through the wizard, and draw."""
    INTO.mkdir(parents=True, exist_ok=True)
    walk(lambda name, person: _draw(name, person) if name in NAMES else None)
    return 0


def _draw(name: str, person: Person) -> None:
    rows = [_row(person.screen.buffer[number]) for number in range(person.screen.lines)]
    shown = "\n".join(rows).rstrip("\n")
    draw(_real(shown), INTO / f"{name}.svg")


def _row(cells: Any) -> str:
    """Return a line of the terminal with its colours."""
    row = [cells[number] for number in range(COLUMNS)]
    text = ""
    for (colour, bold), run in groupby(row, lambda cell: (cell.fg, cell.bold)):
        codes = [str(_COLOURS[colour])] if colour in _COLOURS else []
        codes += ["1"] if bold else []
        words = "".join(cell.data for cell in run)
        text += f"\x1b[{';'.join(codes)}m{words}\x1b[0m" if codes else words
    return text.rstrip()


def _real(shown: str) -> str:
    """Return a screen with the addresses that a reader has; a bar keeps what it shows."""
    lines = [line if "bound" in line else settled(line) for line in shown.split("\n")]
    return "\n".join(lines).replace(SERVER, SERVER.removesuffix(":80"))


if __name__ == "__main__":
    raise SystemExit(main())
