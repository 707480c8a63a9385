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
from bty_core.events import Done, Emit, Event, Failed, Retrying, Started
from bty_core.flash.fold import FlashState, Phase, advance
from bty_core.flash.transfer import Meter
from bty_core.values import size_text

_SCALE = 10_000
_NAMES = {Phase.RETRYING: "waiting", Phase.WRITING: "writing", Phase.VERIFYING: "verifying"}


class _Facts(ProgressColumn):
    """Percent, bytes, rate, time left and what the write waits for."""

    def render(self, task: Task) -> Text:
        return Text(str(task.fields.get("facts", "")), no_wrap=True)


def _new_bars(console: Console) -> Bars:
    # Columns of a fixed width do not jump.
    return Bars(TextColumn("{task.description:<9}"), BarColumn(bar_width=None), _Facts(), console=console.err)


@contextmanager
def bars(console: Console) -> Iterator[Emit]:
    """Yield an emit that draws a bar for the write and one for the read-back.

    The bars are there from the first event of a flash to its last; before and after, the terminal is untouched.
    """
    drawn = _new_bars(console)
    state = FlashState()
    writing: TaskID | None = None
    verifying: TaskID | None = None

    def emit(event: Event) -> None:
        nonlocal state, writing, verifying
        state = advance(state, event, monotonic())
        match event:
            case Started():
                writing = drawn.add_task("writing", total=None, facts="")
                drawn.start()
            case Retrying():
                drawn.console.print(f"bty: {plain(event.reason)}; going on in {event.wait_seconds:g} s")
            case Done() | Failed():
                drawn.stop()
        if state.phase is Phase.VERIFYING:
            if verifying is None:
                if writing is not None:
                    _finish(drawn, writing, state)
                verifying = drawn.add_task("verifying", total=None, facts="")
            _update(drawn, verifying, state)
        elif state.phase in _NAMES and writing is not None:
            _update(drawn, writing, state)
        elif state.phase is Phase.FINISHING:
            last = writing if verifying is None else verifying
            if last is not None:
                _finish(drawn, last, state)

    try:
        yield emit
    finally:
        drawn.stop()


@contextmanager
def reading(
    console: Console, what: str, total: int | None, kind: str = "auto"
) -> Iterator[Callable[[Meter], None]]:
    """Yield a tick for a transfer that writes nothing: a bar on a terminal, nothing elsewhere."""
    if kind == "none" or not console.stderr.isatty():
        yield lambda _: None
        return
    with Bars(TextColumn("{task.description}"), BarColumn(bar_width=None), _Facts(), console=console.err) as drawn:
        task = drawn.add_task(plain(what), total=total, facts="")
        began = monotonic()

        def tick(meter: Meter) -> None:
            rate = meter.decoded_bytes / max(monotonic() - began, 0.001)
            facts = f"{size_text(meter.decoded_bytes)} {size_text(round(rate))}/s"
            drawn.update(task, completed=meter.source_bytes, facts=facts)

        yield tick


def _update(drawn: Bars, task: TaskID, state: FlashState) -> None:
    fraction, left = state.fraction, state.seconds_left
    facts = [
        f"{fraction:4.0%}" if fraction is not None else "",
        f"{size_text(state.disk_bytes):>7}",
        f"{size_text(round(state.rate)) + '/s':>9}" if state.rate else " " * 9,
        f"{_clock(left):>5} left" if left is not None else " " * 10,
        f"{state.bottleneck or '':<13}",
    ]
    drawn.update(
        task,
        description=_NAMES[state.phase],
        total=_SCALE if fraction is not None else None,
        completed=round((fraction or 0) * _SCALE),
        facts=" ".join(facts),
    )


def _finish(drawn: Bars, task: TaskID, state: FlashState) -> None:
    total = state.total_bytes or state.disk_bytes
    drawn.update(task, total=_SCALE, completed=_SCALE, facts=f"100% {size_text(total):>7}{' ' * 35}")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
