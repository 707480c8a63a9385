"""Asking a network who answers PXE requests: by the appliance's helper, or where the worker may open raw sockets."""

from __future__ import annotations

from sqlalchemy import Engine

from bty_web.dhcp.matrix import Matrix
from bty_web.dhcp.probe import probe
from bty_web.jobs.task import Task
from bty_web.services import appliance
from bty_web.settings import Settings

_PATIENCE = 60.0  # seconds: the helper has to start, and listens for some seconds


def run(settings: Settings, _engine: Engine, task: Task) -> None:
    """Probe the interface that the job names; the matrix is its result."""
    if settings.appliance_dir is not None:
        task.result = appliance.ask_probe(
            settings.appliance_dir, settings.state_dir, task.subject, _PATIENCE
        )
        return
    task.result = Matrix(interface=task.subject, results=probe(task.subject)).wire()
