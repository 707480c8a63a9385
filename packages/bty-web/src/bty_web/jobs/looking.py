"""What looks after a workflow of a run while it goes on."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from time import monotonic

from sqlalchemy import Engine

from bty_core.errors import Cancelled
from bty_core.provisioning.cijoe_state import read_steps
from bty_core.provisioning.errors import WorkflowFailed
from bty_core.values import size_text
from bty_web.database import working
from bty_web.jobs.task import Task
from bty_web.models.words import RunState
from bty_web.online.ssh import Forward
from bty_web.services import runs

_GROWS = 2.0  # seconds between two times that pages hear of a log that grows
_MOST = 1 << 30  # bytes that a workflow may leave on the server until its report is packed


class Looking:
    """Looks after a workflow a few times a second: says how far it is, and ends it where it may not go on."""

    def __init__(
        self, engine: Engine, task: Task, run: int, forward: Forward, inside: Path, said: Path
    ) -> None:
        self._engine = engine
        self._task = task
        self._run = run
        self._forward = forward
        self._inside = inside
        self._said = said
        self._step = 0  # that pages know
        self._size = 0  # of the log, likewise
        self._at = monotonic()

    def __call__(self) -> None:
        """Raise what ends the workflow."""
        if self._task.stop.is_set():
            raise Cancelled("the run was stopped")
        if not self._forward.is_open:
            raise self._forward.broken()
        steps = read_steps(self._inside / "output")
        now = next((step for step in reversed(steps) if step.started), None)
        if now is not None and now.number != self._step:
            self._step = now.number
            with working(self._engine) as session:
                runs.move(
                    session,
                    self._run,
                    RunState.RUNNING,
                    f"step {now.number} of {now.of}: {now.name}",
                    step=now.number,
                    steps=now.of,
                )
        if monotonic() - self._at > _GROWS:
            self._at = monotonic()
            _refuse_flood(self._inside, self._said)
            if (size := self._said.stat().st_size) != self._size:
                self._size = size
                with working(self._engine) as session:
                    runs.grows(session, self._run)


def _refuse_flood(*places: Path) -> None:
    """Raise `WorkflowFailed` where a workflow, or the machine that it listens to, fills the server's disk."""
    size = 0
    for place in places:
        for path in (place, *place.rglob("*")):
            with suppress(FileNotFoundError):
                size += path.lstat().st_size
    if size > _MOST:
        raise WorkflowFailed(
            f"the workflow has written {size_text(size)}, and may write {size_text(_MOST)}",
            hint="let it leave on the machine what is large; its log says how far it came",
        )
