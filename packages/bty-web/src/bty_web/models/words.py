"""The words that tables, rules, pages and API share."""

from __future__ import annotations

from enum import StrEnum


class Policy(StrEnum):
    """What a network boot of a machine means: the operator's intent."""

    LOCAL = "local"
    TUI = "tui"
    FLASH = "flash"
    FLASH_ONCE = "flash-once"
    FLASH_CYCLE = "flash-cycle"


class State(StrEnum):
    """Where an attempt is."""

    OFFERED = "offered"  # a script with its token was served; nothing was heard yet
    QUEUED = "queued"
    RUNNING = "running"
    VERIFYING = "verifying"
    PROVISIONING = "provisioning"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"
    SUPERSEDED = "superseded"

    @property
    def over(self) -> bool:
        """Whether the attempt has ended, as far as anybody knows."""
        return self in OVER


OVER = frozenset({State.DONE, State.FAILED, State.CANCELLED, State.ABANDONED, State.SUPERSEDED})
BEGUN = frozenset({State.RUNNING, State.VERIFYING, State.PROVISIONING})
UNDER_WAY = BEGUN | {State.QUEUED}


class AttemptMode(StrEnum):
    """Who chooses."""

    INTERACTIVE = "interactive"
    AUTO = "auto"


class Trigger(StrEnum):
    """Why an attempt was opened."""

    POLICY = "policy"
    REFLASH = "reflash"  # the button, or the API
    WIZARD = "wizard"  # a wizard that was started by hand


class ImageState(StrEnum):
    """Whether an image can be offered."""

    MEASURING = "measuring"
    READY = "ready"
    BROKEN = "broken"


class JobState(StrEnum):
    """Where a piece of background work is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether the job has ended."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class RunKind(StrEnum):
    """What the server does on a machine that has started its own system."""

    WORKFLOW = "workflow"  # after a flash
    CHECK = "check"  # facts alone


class RunState(StrEnum):
    """Where a run is."""

    WAITING = "waiting"  # for the machine to answer
    RUNNING = "running"
    CLOSING = "closing"  # the workflow has ended; facts are collected, access is taken back
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self not in RUN_UNDER_WAY


RUN_UNDER_WAY = frozenset({RunState.WAITING, RunState.RUNNING, RunState.CLOSING})


class Scope(StrEnum):
    """What an API token may do; each includes the ones before it."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"
