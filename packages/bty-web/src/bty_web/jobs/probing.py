"""Asking a network who answers PXE requests, where the worker may open raw sockets."""

from __future__ import annotations

from sqlalchemy import Engine

from bty_web.dhcp.matrix import Matrix
from bty_web.dhcp.probe import probe
from bty_web.jobs.task import Task
from bty_web.settings import Settings


def run(_settings: Settings, _engine: Engine, task: Task) -> None:
    """Probe the interface that the job names; the matrix is its result."""
    task.result = Matrix(interface=task.subject, results=probe(task.subject)).wire()
