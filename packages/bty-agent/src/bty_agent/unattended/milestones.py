"""A flash in few lines, for serial consoles and journals: ``bty: attempt 12 writing 35 % 412 MB/s disk-bound``."""

from __future__ import annotations

from time import monotonic

from bty_agent.unattended.journal import Journal
from bty_core.events import Emit, Event, Progress, Provisioning, Retrying, Started, Verifying
from bty_core.flash.fold import FlashState, Phase, advance
from bty_core.flash.lines import provisioning_text
from bty_core.program.console import plain
from bty_core.values import size_text

_STEP = 10  # percent
_NOTED = 5.0  # seconds between two lines in the log


def milestones(journal: Journal, name: str, say_every: float) -> Emit:
    """Return an emit that says a line for each phase, each tenth of it, and each `say_every` seconds."""
    state = FlashState()
    said: tuple[Phase, int] | None = None
    said_at = noted_at = monotonic()

    def emit(event: Event) -> None:
        nonlocal state, said, said_at, noted_at
        now = monotonic()
        state = advance(state, event, now)
        match event:
            case Started():
                said, said_at = None, now
                journal.note(f"{event.wire()}")
            case Retrying():
                journal.say(
                    f"bty: {name} {event.reason}; going on from byte {event.source_bytes}"
                    f" in {event.wait_seconds:g} s (try {event.attempt})"
                )
            case Provisioning():
                journal.say(f"bty: {name} {plain(provisioning_text(event))}")
            case Progress() | Verifying():
                step = (state.phase, int((state.fraction or 0) * 100) // _STEP)
                if step != said or now - said_at >= say_every:
                    journal.say(f"bty: {name} {status(state)}")
                    said, said_at, noted_at = step, now, now
                elif now - noted_at >= _NOTED:
                    journal.note(f"{name} {status(state)}")
                    noted_at = now
            case _:
                journal.note(f"{event.wire()}")

    return emit


def status(state: FlashState) -> str:
    """Return how far a flash is: ``writing 35 % 412 MB/s disk-bound``."""
    done = (
        size_text(state.disk_bytes) if state.fraction is None else f"{state.fraction * 100:.0f} %"
    )
    rate = f"{size_text(round(state.rate))}/s" if state.rate else None
    return " ".join(filter(None, [state.phase, done, rate, state.bottleneck]))
