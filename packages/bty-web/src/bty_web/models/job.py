"""Background work that must survive the process that does it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from bty_web.models.base import Base, UtcTime, Word
from bty_web.models.words import JobState


class Job(Base):
    """One piece of work. Whoever does it holds a lease; when that runs out, somebody else may."""

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_state_lease_until", "state", "lease_until"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))  # measure, import, probe
    subject: Mapped[str] = mapped_column(String(255), index=True)  # the image, the interface
    arguments: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    state: Mapped[JobState] = mapped_column(Word(JobState), default=JobState.QUEUED)
    done_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    total_bytes: Mapped[int | None] = mapped_column(BigInteger)
    tries: Mapped[int] = mapped_column(default=0)
    owner: Mapped[str | None] = mapped_column(String(80))
    lease_until: Mapped[datetime | None] = mapped_column(UtcTime)
    cancel_asked_at: Mapped[datetime | None] = mapped_column(UtcTime)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    code: Mapped[str | None] = mapped_column(String(40))
    message: Mapped[str | None] = mapped_column(String(2000))
    hint: Mapped[str | None] = mapped_column(String(2000))
    asked_by: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)
    changed: Mapped[int] = mapped_column(BigInteger, index=True, default=0)


class Lease(Base):
    """A right that one process at a time holds for a while, such as looking after the clock."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(String(80))
    until: Mapped[datetime] = mapped_column(UtcTime)
