"""The failures of what the server does on a machine that was flashed."""

from __future__ import annotations

from bty_core.errors import BtyError


class NoAnswer(BtyError):
    """The machine did not answer on SSH in time."""

    code = "no-answer"


class WrongHost(BtyError):
    """What answers is not the machine that was flashed: its host key is another one."""

    code = "wrong-host"


class AccessRefused(BtyError):
    """The machine answers, and does not let the server in."""

    code = "access-refused"


class ConnectionBroken(BtyError):
    """The machine went away in the middle."""

    code = "connection-broken"


class SandboxMissing(BtyError):
    """Workflows cannot be fenced in here, so that none is run."""

    code = "sandbox-missing"


class WorkerDied(BtyError):
    """The process that ran the workflow ended in the middle of it."""

    code = "worker-died"
