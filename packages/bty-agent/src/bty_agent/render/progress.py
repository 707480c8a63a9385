"""Which renderer watches a flash."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bty_agent.console import Console
from bty_agent.render.ndjson import ndjson
from bty_core.events import Emit, nowhere
from bty_core.flash.lines import lines


@contextmanager
def watcher(kind: str, console: Console) -> Iterator[Emit]:
    """Yield the renderer called `kind`: "auto", "text", "ndjson" or "none"."""
    match kind:
        case "auto" if console.can_draw:
            from bty_agent.render.bars import bars  # with rich, for those who see it

            with bars(console) as emit:
                yield emit
        case "ndjson":
            yield ndjson(console)
        case "none":
            yield nowhere
        case _:
            yield lines(lambda line: console.say(f"bty: {line}"))
