"""What is known good of a machine, for its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bty_web.extensions import db
from bty_web.models import Machine, Run
from bty_web.services import runs
from bty_web.services.runs import Drift

_LATELY = 10
_OTHERS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPage:
    """What is known good of one machine, and what the server did on it lately."""

    machine: Machine
    baseline: Run | None
    since_before: Drift | None
    check: Run | None
    drift: Drift | None
    others: Sequence[tuple[Machine, Drift]]
    lately: Sequence[Run]
    can_check: bool

    @property
    def going_on(self) -> Run | None:
        """The run that has not ended."""
        return next((run for run in self.lately if not run.state.over), None)


def known_of(machine: Machine) -> KnownPage:
    """Gather what is known good of a machine."""
    session = db.session()
    baseline = runs.baseline(session, machine)
    older = runs.baseline(session, machine, before=baseline.id) if baseline else None
    check = runs.last_check(session, machine)
    return KnownPage(
        machine=machine,
        baseline=baseline,
        since_before=runs.drift(baseline, older) if baseline and older else None,
        check=check,
        drift=runs.drift(check, baseline) if check and baseline else None,
        others=_others(machine, baseline) if baseline else (),
        lately=runs.newest(session, machine=machine, limit=_LATELY),
        can_check=runs.can_check(session, machine),
    )


def _others(machine: Machine, baseline: Run) -> list[tuple[Machine, Drift]]:
    alike = runs.alike(db.session(), machine, limit=_OTHERS)
    return [(other, runs.drift(theirs, baseline)) for other, theirs in alike]
