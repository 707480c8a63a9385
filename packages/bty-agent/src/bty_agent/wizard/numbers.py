"""Asks by numbers and lines, for terminals on which nothing can be drawn again."""

from __future__ import annotations

from collections.abc import Callable

from bty_agent.console import Console
from bty_agent.wizard.answers import Answer, Press
from bty_agent.wizard.menus import Menu, Question, Row, Word, YesNo
from bty_agent.wizard.terminal import Hangup, forget_typed


class PlainAsker:
    """Asks one line at a time."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def ask(self, question: Question, draw: Callable[[], int], *, fresh: bool = False) -> Answer:
        """Return the answer; what cannot be understood is asked again.

        `fresh`: what was typed before the question could be read is no answer.
        """
        draw()
        if fresh:
            forget_typed()
        try:
            match question:
                case Menu():
                    return self._menu(question)
                case YesNo():
                    return self._yes_no(question)
                case Word():
                    return question.answer(self._line(f"{question.text} "))
        except Hangup:
            raise
        except KeyboardInterrupt:
            self._console.say()
            return Press.LEAVE

    def _yes_no(self, question: YesNo) -> Answer:
        typed = self._line(f"{question.text} [y/N] ").lower()
        return Press.YES if typed in ("y", "yes") else Press.NO

    def _menu(self, menu: Menu) -> Answer:
        rows = list(menu.rows)
        while True:
            numbered = [row for row in rows if row.answer is not None]
            self._list(menu, rows)
            wanted = "Number, b for back, q to leave"
            typed = self._line(
                f"{menu.text} ({wanted}{', or a text to search' * menu.searchable}) "
            )
            if typed in ("b", "q"):
                return Press.BACK if typed == "b" else Press.LEAVE
            if typed.isdecimal() and 0 < int(typed) <= len(numbered):
                answer = numbered[int(typed) - 1].answer
                assert answer is not None
                return answer
            rows = list(menu.rows)
            if menu.searchable and typed:
                found = [row for row in rows if typed.lower() in row.label.lower()]
                rows = found or rows
            if typed and len(rows) == len(menu.rows):
                self._console.say(f"There is no '{typed}' in this list.")

    def _list(self, menu: Menu, rows: list[Row]) -> None:
        if menu.head:
            self._console.say(f"    {menu.head}")
        number = 0
        for row in rows:
            number += row.answer is not None
            mark = f"{number:>2}" if row.answer is not None else " -"
            self._console.say(f"{mark}  {row.label}", indent=4)
            for line in (*row.below, *row.detail):
                self._console.say(f"      {line}", indent=6)

    def _line(self, prompt: str) -> str:
        console = self._console
        console.stderr.write(prompt)
        console.stderr.flush()
        try:
            typed = console.stdin.readline()
        except UnicodeDecodeError:
            typed = "\n"
        except OSError as error:
            raise Hangup from error
        if not typed:
            raise Hangup
        return typed.strip()
