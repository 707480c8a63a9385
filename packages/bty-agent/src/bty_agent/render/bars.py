"""Bars on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import monotonic

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from bty_agent.console import Console
from bty_core.events import Emit, Event, Provisioning, Retrying
from bty_core.flash.fold import FlashState, Phase, advance
from bty_core.flash.lines import provisioning_text
from bty_core.flash.transfer import Meter
from bty_core.program.console import plain
from bty_core.values import size_text

_NAME = 9  # columns: "verifying"
_SHORTEST = 8  # columns of a bar that still says something
_MOMENT = 0.5  # seconds
# Widths of the facts, so that nothing jumps: percent, bytes, rate, time left, what the write waits for.
_WIDTHS = (4, 7, 9, 10, -13)
# What a narrow terminal goes without, the first one first.
_DROPPED = (1, 4, 2, 3, 0)


@dataclass(slots=True)
class Line:
    """One phase as a line: its name, a bar as long as there is room, and facts of fixed width."""

    name: str
    glyphs: tuple[str, str]  # done, to do
    fraction: float | None = None  # None: nobody can know, so something moves
    facts: tuple[str, ...] = ("",) * len(_WIDTHS)
    began: float = field(default_factory=monotonic)
    _ticks: int = 0

    def __rich_console__(self, console: RichConsole, options: ConsoleOptions) -> RenderResult:
        # One column less: some terminals wrap as soon as the last one is written.
        width = options.max_width - 1
        shown = set(range(len(_WIDTHS)))
        for dropped in _DROPPED:
            if self._room(width, shown) >= _SHORTEST:
                break
            shown.discard(dropped)
        line = Text(f"{self.name:<{_NAME}.{_NAME}} ", no_wrap=True, overflow="crop", end="")
        for part, style in self._bar(max(self._room(width, shown), 0)):
            line.append(part, style)
        for number in sorted(shown):
            wide, fact = _WIDTHS[number], self.facts[number]
            line.append(f" {fact:<{-wide}}" if wide < 0 else f" {fact:>{wide}}")
        yield line

    def update(self, fraction: float | None, *facts: str) -> None:
        """Show how much is done and what is known of it, in the order of the widths."""
        self.fraction = fraction
        self.facts = (*facts, *[""] * (len(_WIDTHS) - len(facts)))
        self._ticks += 1

    def finish(self, size: int) -> None:
        """Show the phase as complete: its bytes, its mean rate and how long it took."""
        seconds = monotonic() - self.began
        # A rate of less than a moment says nothing.
        rate = f"{size_text(round(size / seconds))}/s" if seconds >= _MOMENT else ""
        self.update(1.0, "100%", size_text(size), rate, f"in {clock(seconds)}")

    def _room(self, width: int, shown: set[int]) -> int:
        return width - _NAME - 1 - sum(abs(_WIDTHS[number]) + 1 for number in shown)

    def _bar(self, width: int) -> list[tuple[str, str]]:
        done, rest = self.glyphs
        if self.fraction is not None:
            filled = int(self.fraction * width)
            return [(done * filled, "cyan"), (rest * (width - filled), "")]
        size = min(3, width)
        way = max(width - size, 1)
        at = way - abs(self._ticks % (2 * way) - way)
        return [(rest * at, ""), (done * size, "cyan"), (rest * (width - size - at), "")]


class Lines:
    """The lines that are on the terminal; the last one moves."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def __rich_console__(self, console: RichConsole, options: ConsoleOptions) -> RenderResult:
        for number, line in enumerate(self.lines):
            if number:
                yield Text("")
            yield line


@contextmanager
def bars(console: Console, state: FlashState | None = None) -> Iterator[Emit]:
    """Yield an emit that draws a bar for the write and one for the read-back.

    `state` is where the flash is already. The bars are there from the first event of a flash to its
    last; before and after, the terminal is untouched.
    """
    drawing = _Drawing(console, state or FlashState())
    try:
        yield drawing.emit
    finally:
        drawing.stop()


class _Drawing:
    """The bars of one flash, and the state that they show."""

    def __init__(self, console: Console, state: FlashState) -> None:
        self._console = console
        self._terminal = ExitStack()
        self._shown = Lines()
        self._live = _live(console, self._shown)
        self._glyphs = console.bar_glyphs
        self._state = state

    def emit(self, event: Event) -> None:
        state = self._state = advance(self._state, event, monotonic())
        if isinstance(event, Retrying):
            told = f"bty: {plain(event.reason)}; going on in {event.wait_seconds:g} s"
            self._live.console.print(told)
        if isinstance(event, Provisioning):
            self.stop()
            self._console.say(f"bty: {plain(provisioning_text(event))}", indent=5)
        match state.phase:
            case Phase.WAITING:
                pass
            case Phase.DONE | Phase.FAILED:
                self.stop()
            case Phase.FINISHING:
                self._finish()
            case Phase.PROVISIONING:
                pass
            case Phase.VERIFYING:
                self._update("verifying")
            case _:
                self._update("writing")

    def stop(self) -> None:
        """Leave the bars as they are, and give the terminal back."""
        self._live.stop()
        self._terminal.close()

    def _update(self, name: str) -> None:
        state, lines = self._state, self._shown.lines
        if not lines or (name == "verifying" and len(lines) == 1):
            self._finish()
            lines.append(Line(name, self._glyphs))
            if not self._live.is_started:
                self._terminal.enter_context(self._console.quiet_keys())
                self._live.start()
        line, fraction, left = lines[-1], state.fraction, state.seconds_left
        line.name = "waiting" if state.phase is Phase.RETRYING else name
        line.update(
            fraction,
            f"{fraction:.0%}" if fraction is not None else "",
            size_text(state.disk_bytes),
            f"{size_text(round(state.rate))}/s" if state.rate else "",
            f"{clock(left)} left" if left is not None else "",
            state.bottleneck or "",
        )
        self._live.refresh()

    def _finish(self) -> None:
        """Show the newest bar as complete."""
        if self._shown.lines:
            self._shown.lines[-1].finish(self._state.total_bytes or self._state.disk_bytes)
            self._live.refresh()


@contextmanager
def reading(
    console: Console, name: str, total: int | None, kind: str = "auto"
) -> Iterator[Callable[[Meter], None]]:
    """Yield a tick for a transfer that writes nothing: a bar on a terminal, nothing elsewhere."""
    if kind == "none" or not console.can_draw:
        yield lambda _: None
        return
    shown = Lines()
    line = Line(name, console.bar_glyphs)
    shown.lines.append(line)

    def tick(meter: Meter) -> None:
        seconds = max(monotonic() - line.began, 0.001)
        fraction = min(meter.source_bytes / total, 1.0) if total else None
        left = seconds / fraction - seconds if fraction else None
        line.update(
            fraction,
            f"{fraction:.0%}" if fraction is not None else "",
            size_text(meter.decoded_bytes),
            f"{size_text(round(meter.decoded_bytes / seconds))}/s",
            f"{clock(left)} left" if left is not None else "",
        )
        live.refresh()

    with console.quiet_keys(), _live(console, shown) as live:
        yield tick


def _live(console: Console, shown: Lines) -> Live:
    # Drawn when there is news, by the thread that has it; the engine sends some five times a second.
    return Live(
        shown,
        console=console.err,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
        vertical_overflow="visible",
    )


def clock(seconds: float) -> str:
    """Return ``0:05``, ``12:30`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
