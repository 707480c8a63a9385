"""Bars on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from bty_agent.console import Console
from bty_agent.render.words import plain
from bty_core.events import Emit, Event, Retrying
from bty_core.flash.fold import FlashState, Phase, advance
from bty_core.flash.transfer import Meter
from bty_core.values import size_text

_SCALE = 10_000


class _Facts(ProgressColumn):
    """Percent, bytes, rate, time left and what the write waits for."""

    def render(self, task: Task) -> Text:
        return Text(str(task.fields.get("facts", "")), no_wrap=True)


def _new_bars(console: Console) -> Bars:
    # Columns of a fixed width do not jump.
    return Bars(
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=None),
        _Facts(),
        console=console.err,
    )


@contextmanager
def bars(console: Console) -> Iterator[Emit]:
    """Yield an emit that draws a bar for the write and one for the read-back.

    The bars are there from the first event of a flash to its last; before and after, the terminal is untouched.
    """
    drawing = _Drawing(console)
    try:
        yield drawing.emit
    finally:
        drawing.bars.stop()


class _Drawing:
    """The bars of one flash, and the state that they show."""

    def __init__(self, console: Console) -> None:
        self.bars = _new_bars(console)
        self._state = FlashState()
        self._tasks: dict[str, TaskID] = {}

    def emit(self, event: Event) -> None:
        state = self._state = advance(self._state, event, monotonic())
        if isinstance(event, Retrying):
            reason = plain(event.reason)
            self.bars.console.print(f"bty: {reason}; going on in {event.wait_seconds:g} s")
        if state.phase is Phase.WRITING and not self._tasks:
            self.bars.start()
        if state.phase in (Phase.DONE, Phase.FAILED):
            self.bars.stop()
        elif state.phase is Phase.FINISHING:
            self._finish()
        elif state.phase is Phase.VERIFYING:
            if "verifying" not in self._tasks:
                self._finish()
            self._update("verifying")
        elif state.phase is not Phase.WAITING:
            self._update("writing")

    def _update(self, name: str) -> None:
        state = self._state
        if name not in self._tasks:
            self._tasks[name] = self.bars.add_task(name, total=None, facts="")
        fraction, left = state.fraction, state.seconds_left
        facts = [
            f"{fraction:4.0%}" if fraction is not None else "",
            f"{size_text(state.disk_bytes):>7}",
            f"{size_text(round(state.rate)) + '/s':>9}" if state.rate else " " * 9,
            f"{_clock(left):>5} left" if left is not None else " " * 10,
            f"{state.bottleneck or '':<13}",
        ]
        self.bars.update(
            self._tasks[name],
            description="waiting" if state.phase is Phase.RETRYING else name,
            total=_SCALE if fraction is not None else None,
            completed=round((fraction or 0) * _SCALE),
            facts=" ".join(facts),
        )

    def _finish(self) -> None:
        """Show the newest bar as complete."""
        if not self._tasks:
            return
        *_, task = self._tasks.values()
        total = size_text(self._state.total_bytes or self._state.disk_bytes)
        facts = f"{'100%':>4} {total:>7}{' ' * 35}"
        self.bars.update(task, total=_SCALE, completed=_SCALE, facts=facts)


@contextmanager
def reading(
    console: Console, what: str, total: int | None, kind: str = "auto"
) -> Iterator[Callable[[Meter], None]]:
    """Yield a tick for a transfer that writes nothing: a bar on a terminal, nothing elsewhere."""
    if kind == "none" or not console.stderr.isatty():
        yield lambda _: None
        return
    with Bars(
        TextColumn("{task.description}"), BarColumn(bar_width=None), _Facts(), console=console.err
    ) as drawn:
        task = drawn.add_task(plain(what), total=total, facts="")
        began = monotonic()

        def tick(meter: Meter) -> None:
            rate = meter.decoded_bytes / max(monotonic() - began, 0.001)
            facts = f"{size_text(meter.decoded_bytes)} {size_text(round(rate))}/s"
            drawn.update(task, completed=meter.source_bytes, facts=facts)

        yield tick


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
