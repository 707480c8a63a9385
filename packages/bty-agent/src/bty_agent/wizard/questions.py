"""Asks: by arrow keys where the terminal can draw, by numbers where it cannot. Nobody else knows questionary."""

from __future__ import annotations

import os
import string
import sys
from collections.abc import Callable, Sequence
from textwrap import wrap
from typing import Any

import questionary
from prompt_toolkit import Application
from prompt_toolkit.filters import Condition
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import (
    ConditionalContainer,
    Dimension,
    FormattedTextControl,
    HSplit,
    Layout,
    ScrollbarMargin,
    Window,
)
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import Style
from questionary.prompts.common import InquirerControl

from bty_agent.wizard.answers import Answer, Press
from bty_agent.wizard.menus import Menu, Question, Row, Word, YesNo
from bty_agent.wizard.screens import WIDTH
from bty_agent.wizard.terminal import Hangup, forget_typed

# The sixteen colours that each console has; what is pointed at also has a mark, and is bold.
_STYLE = Style(
    [
        ("qmark", "fg:ansicyan"),
        ("question", "bold"),
        ("answer", "bold"),
        ("pointer", "fg:ansicyan bold"),
        ("highlighted", "fg:ansicyan bold"),
        ("selected", "noreverse"),
        ("instruction", ""),
        ("separator", ""),
        ("search_success", "bold"),
        ("search_none", "fg:ansired"),
        ("keys", "fg:ansicyan"),
    ]
)
_MONOCHROME = ("vt",)
_ESCAPE_SECONDS = 0.25  # within which a slow line has brought the rest of an arrow key
_DETAIL = 3  # lines
_LEAST = 3  # lines of a list
_SIZE_CHANGED = object()
_BACK = object()


class TerminalAsker:
    """Asks by questionary. `draw` shows what stands above the question, and returns how many lines that takes."""

    def __init__(self, term: str, *, plain: bool) -> None:
        self._pointer = ">" if plain else "\u203a"
        self._depth = (
            ColorDepth.DEPTH_1_BIT
            if term.startswith(_MONOCHROME) or os.environ.get("NO_COLOR")
            else ColorDepth.DEPTH_4_BIT
        )
        # A serial line may never answer where its cursor is, so it is not asked.
        self._output = Vt100_Output.from_pty(sys.stdout, term=term, default_color_depth=self._depth)
        self._output.enable_cpr = False

    def ask(self, question: Question, draw: Callable[[], int], *, fresh: bool = False) -> Answer:
        """Return the answer; the screen is drawn again when its size changes.

        `fresh`: what was typed before the question could be read is no answer.
        """
        at = question.at if isinstance(question, Menu) else None
        while True:
            above = draw()
            app = self._application(question, above, at)
            if fresh:
                clear_typeahead(app.input)
                forget_typed()
            try:
                found = app.run()
            except EOFError as error:
                raise Hangup from error
            except Hangup:
                raise
            except KeyboardInterrupt:
                return Press.LEAVE
            if found is _SIZE_CHANGED:
                at = _pointed(app)
                continue
            return _meaning(question, found)

    def _application(self, question: Question, above: int, at: Answer | None) -> Application[Any]:
        options: dict[str, Any] = {
            "style": _STYLE,
            "output": self._output,
            "color_depth": self._depth,
            "erase_when_done": False,
        }
        if isinstance(question, Menu):
            app = self._menu(question, above, at, options)
        else:
            asked = (
                questionary.confirm(question.text, default=False, auto_enter=False, **options)
                if isinstance(question, YesNo)
                else questionary.text(question.text, **options)
            )
            app = asked.application
            app.key_bindings = merge_key_bindings([_bindings(app), _ways_out()])
        app.ttimeoutlen = _ESCAPE_SECONDS
        size = app.output.get_size()

        def look(running: Application[Any]) -> None:
            if running.output.get_size() != size and not running.is_done:
                running.exit(result=_SIZE_CHANGED)

        app.after_render += look
        return app

    def _menu(
        self, menu: Menu, above: int, at: Answer | None, options: dict[str, Any]
    ) -> Application[Any]:
        rows = _by_answer(menu)
        choices = _choices(menu)
        # The names of the columns stay where they are when the list moves.
        text = f"{menu.text}\n     {menu.head}" if menu.head else menu.text
        asked = questionary.select(
            text,
            choices,
            pointer=self._pointer,
            instruction=" ",
            show_description=False,
            use_jk_keys=False,
            use_search_filter=menu.searchable,
            **options,
        )
        app = asked.application
        control = _control(app)
        if at in rows:
            control.pointed_at = [choice.value for choice in choices].index(at)
        details = any(row.detail for row in menu.rows)

        def detail() -> str:
            row = rows.get(_value(control))
            lines = [line for text in (row.detail if row else ()) for line in wrap(text, WIDTH)]
            return "\n".join(lines[:_DETAIL])

        search = "  type to search" if menu.searchable else ""
        keys = f"Up/Down choose  Enter take  Esc back  Ctrl-C leave{search}"
        room = (
            app.output.get_size().rows
            - above
            - text.count("\n")
            - 3
            - (_DETAIL + 1 if details else 0)
        )
        for window in app.layout.find_all_windows():
            if window.content is control:
                window.height = Dimension(max=max(room, _LEAST))
                window.dont_extend_height = Condition(lambda: True)
                if sum(str(choice.title).count("\n") + 1 for choice in choices) > room:
                    window.right_margins = [ScrollbarMargin(display_arrows=True)]
        told = Window(
            FormattedTextControl(detail), height=Dimension(max=_DETAIL), dont_extend_height=True
        )
        footer = [
            ConditionalContainer(
                HSplit([Window(height=1), told]), filter=Condition(lambda: bool(detail()))
            ),
            Window(height=1),
            Window(FormattedTextControl([("class:keys", keys)]), height=1),
        ]
        shown = ConditionalContainer(HSplit(footer), filter=Condition(lambda: not app.is_done))
        app.layout = Layout(HSplit([app.layout.container, shown]))
        app.key_bindings = merge_key_bindings([_bindings(app), _ways_out(control), _moves(control)])
        if menu.searchable:
            app.key_bindings = merge_key_bindings([app.key_bindings, _search(control)])
        return app


def _meaning(question: Question, found: object) -> Answer:
    if found is _BACK or found is None:
        return Press.BACK
    match question:
        case YesNo():
            return Press.YES if found is True else Press.NO
        case Word():
            return question.answer(str(found))
        case Menu():
            return _by_answer(question)[found].answer or Press.BACK  # type: ignore[index]


def _by_answer(menu: Menu) -> dict[Answer, Row]:
    return {row.answer: row for row in menu.rows if row.answer is not None}


def _under(text: str) -> list[str]:
    """Return what stands under a row, wrapped."""
    return wrap(text, WIDTH, initial_indent=" " * 7, subsequent_indent=" " * 9)


def _choices(menu: Menu) -> list[questionary.Choice]:
    found: list[questionary.Choice] = []
    apart = False
    for row in menu.rows:
        if row.action and not apart and found:
            found.append(questionary.Separator(" "))
            apart = True
        below = "".join(f"\n{line}" for text in row.below for line in _under(text))
        if row.answer is None:
            found.append(questionary.Separator(f"- {row.label}{below}"))
        else:
            found.append(questionary.Choice(f"  {row.label}{below}", value=row.answer))
    return found


def _control(app: Application[Any]) -> InquirerControl:
    return next(one for one in app.layout.find_all_controls() if isinstance(one, InquirerControl))


def _pointed(app: Application[Any]) -> Answer | None:
    for one in app.layout.find_all_controls():
        if isinstance(one, InquirerControl):
            found: Answer = _value(one)
            return found
    return None


def _value(control: InquirerControl) -> Any:
    return control.get_pointed_at().value


def _bindings(app: Application[Any]) -> Any:
    assert app.key_bindings is not None
    return app.key_bindings


def _ways_out(control: InquirerControl | None = None) -> KeyBindings:
    """Return what Esc, Ctrl-C and Ctrl-D mean: back, and leave. Esc first ends a search."""
    keys = KeyBindings()

    @keys.add(Keys.Escape, eager=True)
    def back(event: KeyPressEvent) -> None:
        if control is not None and control.search_filter:
            control.search_filter = None
            _point(control, 0, 1)
        else:
            event.app.exit(result=_BACK)

    @keys.add(Keys.ControlC, eager=True)
    @keys.add(Keys.ControlD, eager=True)
    @keys.add(Keys.ControlQ, eager=True)
    def leave(event: KeyPressEvent) -> None:
        event.app.exit(exception=KeyboardInterrupt)

    return keys


def _point(control: InquirerControl, at: int, step: int) -> None:
    """Point at the first row from `at` on that can be chosen."""
    rows: Sequence[questionary.Choice] = control.filtered_choices
    for far in range(len(rows)):
        index = (at + far * step) % len(rows)
        if not rows[index].disabled:
            control.pointed_at = index
            return


def _moves(control: InquirerControl) -> KeyBindings:
    """Move within what is shown, also while it is searched, and take only what can be chosen."""
    keys = KeyBindings()

    def move(key: Keys | str, where: Callable[[int, int], tuple[int, int]]) -> None:
        @keys.add(key, eager=True)
        def _(_event: KeyPressEvent) -> None:
            at, step = where(control.pointed_at, len(control.filtered_choices))
            _point(control, at, step)

    move(Keys.Down, lambda at, _: (at + 1, 1))
    move(Keys.Up, lambda at, _: (at - 1, -1))
    move(Keys.Home, lambda _, __: (0, 1))
    move(Keys.End, lambda _, count: (count - 1, -1))
    move(Keys.PageDown, lambda at, count: (min(at + 10, count - 1), -1))
    move(Keys.PageUp, lambda at, _: (max(at - 10, 0), 1))

    @keys.add(Keys.Enter, eager=True)
    def take(event: KeyPressEvent) -> None:
        chosen = control.get_pointed_at()
        if not chosen.disabled:
            event.app.exit(result=chosen.value)

    return keys


def _search(control: InquirerControl) -> KeyBindings:
    keys = KeyBindings()

    def typed(event: KeyPressEvent) -> None:
        control.add_search_character(event.key_sequence[0].key)  # type: ignore[arg-type]
        _point(control, 0, 1)

    for letter in set(string.printable) - set("\r\n\t\x0b\x0c"):
        keys.add(letter, eager=True)(typed)
    keys.add(Keys.Backspace, eager=True)(typed)
    return keys
