"""``bty-web probe IFACE``."""

from __future__ import annotations

import argparse
import json
from typing import Any

from bty_core.errors import BtyError
from bty_web.console import Console
from bty_web.exits import Exit
from bty_web.models import Job
from bty_web.models.words import JobState
from bty_web.services import clock, readiness
from bty_web.services.history import BTY, record
from bty_web.settings import Settings, load


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Show who answers network boots; the Settings page shows the same afterwards."""
    from bty_web.dhcp.matrix import Matrix
    from bty_web.dhcp.probe import probe

    interface: str = arguments.interface
    matrix = Matrix(interface=interface, results=tuple(probe(interface)))
    console.data(json.dumps(matrix.wire(), indent=2) if arguments.json else matrix.text())
    _keep(load(), interface, matrix.wire(), console)
    return Exit.DONE


def _keep(settings: Settings, interface: str, result: dict[str, Any], console: Console) -> None:
    now = clock.now()
    try:
        with readiness.opened(settings) as session:
            session.add(
                Job(
                    kind="probe",
                    subject=interface,
                    arguments={},
                    state=JobState.DONE,
                    result=result,
                    asked_by=BTY.name,
                    created_at=now,
                    ended_at=now,
                    changed=clock.change_stamp(),
                )
            )
            told = f"asked on {interface} who answers network boots"
            record(session, "dhcp.probed", told, by=BTY, now=now, subject=interface)
    except BtyError as error:
        console.say(f"bty-web: the Settings page will not show this: {error.message}")
