"""What the server does on machines that have started their own system, and what lets it in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from bty_web.models.base import Base, UtcTime, Word
from bty_web.models.words import RunKind, RunState


class Run(Base):
    """One run on one machine: of a workflow after a flash, or for its facts alone.

    A green run of a workflow with `facts` is a known-good baseline.
    """

    __tablename__ = "runs"
    __table_args__ = (Index("ix_runs_machine_id_id", "machine_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    machine_id: Mapped[int] = mapped_column(ForeignKey("machines.id", ondelete="CASCADE"))
    attempt_id: Mapped[int | None] = mapped_column(
        ForeignKey("attempts.id", ondelete="SET NULL"), index=True
    )
    job_id: Mapped[int | None]
    kind: Mapped[RunKind] = mapped_column(Word(RunKind))
    state: Mapped[RunState] = mapped_column(Word(RunState), default=RunState.WAITING)

    revision: Mapped[int]  # of the assignment
    image: Mapped[str | None] = mapped_column(String(255))
    image_sha256: Mapped[str | None] = mapped_column(String(64))
    workflow: Mapped[str | None] = mapped_column(String(80), index=True)  # NAME@VERSION
    workflow_sha256: Mapped[str | None] = mapped_column(String(64))

    address: Mapped[str | None] = mapped_column(String(255))  # where it answered
    told: Mapped[str | None] = mapped_column(String(500))  # what happens now, for a person
    step: Mapped[int | None]  # of the workflow, from 1
    steps: Mapped[int | None]

    asked_by: Mapped[str] = mapped_column(String(80))
    started_at: Mapped[datetime] = mapped_column(UtcTime)
    answered_at: Mapped[datetime | None] = mapped_column(UtcTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    report_at: Mapped[datetime | None] = mapped_column(UtcTime)
    access_left: Mapped[bool] = mapped_column(default=False)  # its key still stands on the machine

    code: Mapped[str | None] = mapped_column(String(40))
    message: Mapped[str | None] = mapped_column(String(2000))
    hint: Mapped[str | None] = mapped_column(String(2000))
    changed: Mapped[int] = mapped_column(BigInteger, index=True, default=0)


class Access(Base):
    """What lets the server into the machine of one attempt: keys made for it, private parts sealed.

    A machine has those of its last flash, and of attempts that are under way.
    """

    __tablename__ = "accesses"

    # No foreign key: it outlives the row of the attempt.
    attempt_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    machine_id: Mapped[int] = mapped_column(
        ForeignKey("machines.id", ondelete="CASCADE"), index=True
    )
    host_key: Mapped[str] = mapped_column(String(200))  # public, as known_hosts has it
    secret: Mapped[str] = mapped_column(String(80))  # what the machine says when it is up, hashed
    key: Mapped[str | None] = mapped_column(Text)  # of the attempt; none once its run has ended
    check_key: Mapped[str | None] = mapped_column(Text)  # may ask for facts, and nothing else
    address: Mapped[str | None] = mapped_column(String(45))  # from where it said that it is up


class Profile(Base):
    """The credentials of an image that has a user of its own: what lets the server into machines with it.

    `key` and `password` are sealed. The image is kept by name, as in an assignment.
    """

    __tablename__ = "profiles"

    id: Mapped[int] = mapped_column(primary_key=True)
    image: Mapped[str] = mapped_column(String(255), unique=True)
    user: Mapped[str] = mapped_column(String(32))
    port: Mapped[int] = mapped_column(default=22)
    key: Mapped[str | None] = mapped_column(Text)
    password: Mapped[str | None] = mapped_column(Text)
    host_key: Mapped[str | None] = mapped_column(String(1000))  # public; none: it is not checked
    changed_at: Mapped[datetime] = mapped_column(UtcTime)
