"""What each step shows on 80x24, compared with the golden files; they are written again by the tour itself."""

from __future__ import annotations

import pytest

from tests.agent.wizard.tour import COLUMNS, ROWS, SCREENS, settled, walk

AGAIN = "python -m tests.agent.wizard.tour writes them again"


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    """All screens of one walk."""
    found: dict[str, str] = {}
    walk(lambda name, person: found.update({name: settled(person.shown)}))
    return found


@pytest.mark.parametrize("name", sorted(file.stem for file in SCREENS.glob("*.txt")))
def test_a_screen(shown: dict[str, str], name: str) -> None:
    assert shown[name].splitlines() == (SCREENS / f"{name}.txt").read_text().splitlines(), AGAIN


def test_each_screen_has_its_file(shown: dict[str, str]) -> None:
    assert sorted(shown) == sorted(file.stem for file in SCREENS.glob("*.txt")), AGAIN


def test_no_screen_fills_the_last_column_or_scrolls_its_head_away(shown: dict[str, str]) -> None:
    for name, screen in shown.items():
        lines = screen.splitlines()
        assert len(lines) <= ROWS, name
        assert max(map(len, lines)) < COLUMNS or "^" in screen or "v" in screen, name
        assert lines[0].startswith("bty"), name
