"""A flash in lines, one at each tenth of the way, for journals, pipes and serial lines."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from bty_core.events import Emit, Event, Progress, Provisioning, Retrying, Started, Verifying
from bty_core.flash.fold import FlashState, Phase, advance
from bty_core.program.console import plain
from bty_core.values import size_text

_STEP = 10  # percent
_UNKNOWN_STEP = 10**9  # bytes between two lines while the way's length is not known


def lines(say: Callable[[str], None]) -> Emit:
    """Return an emit that has `say` say a line at each 10 %."""
    state = FlashState()
    said: tuple[Phase, int] | None = None

    def emit(event: Event) -> None:
        nonlocal state, said
        state = advance(state, event, monotonic())
        match event:
            case Started():
                say(f"writing {event.image} onto {event.disk}")
            case Retrying():
                say(
                    f"{event.reason}; going on from byte {event.source_bytes} in {event.wait_seconds:g} s"
                    f" (try {event.attempt})"
                )
            case Progress() | Verifying():
                step = (state.phase, _step(state))
                if step != said and step[1]:
                    say(status(state))
                said = step
            case Provisioning():
                say(plain(provisioning_text(event)))
            case _:
                pass

    return emit


def provisioning_text(event: Provisioning) -> str:
    """Return what provisioning does now: ``cijoe 2/5: step install``."""
    step = f" {event.step}/{event.steps}" if event.step is not None else ""
    return f"{event.mode}{step}: {event.doing}"


def status(state: FlashState) -> str:
    """Return a flash in one line: ``writing 40 %, 1.20 GB, 412 MB/s, 12 s left, disk-bound``."""
    done = (
        f"{state.phase} {state.fraction:.0%}".replace("%", " %")
        if state.fraction is not None
        else str(state.phase)
    )
    left = state.seconds_left
    facts = [
        done,
        size_text(state.disk_bytes),
        f"{size_text(round(state.rate))}/s" if state.rate else None,
        f"{left:.0f} s left" if left is not None else None,
        state.bottleneck,
    ]
    return ", ".join(fact for fact in facts if fact)


def _step(state: FlashState) -> int:
    if state.fraction is None:
        return state.disk_bytes // _UNKNOWN_STEP
    return int(state.fraction * 100) // _STEP * _STEP
