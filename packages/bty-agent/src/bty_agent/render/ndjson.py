"""Events as JSON lines on standard output, for programs."""

from __future__ import annotations

import json

from bty_agent.console import Console
from bty_core.events import Emit, Event


def ndjson(console: Console) -> Emit:
    """Return an emit that writes one event a line, at once; ASCII alone, as all JSON of bty."""

    def emit(event: Event) -> None:
        console.data(json.dumps(event.wire()))

    return emit
