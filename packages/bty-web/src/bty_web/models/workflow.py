"""Workflows of CIJOE that machines can be provisioned with."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bty_web.models.base import Base, UtcTime


class Workflow(Base):
    """One version of a workflow: a task file, scripts and configuration, packed. A version never changes."""

    __tablename__ = "workflows"
    __table_args__ = (UniqueConstraint("name", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), index=True)
    version: Mapped[int]
    task: Mapped[str] = mapped_column(String(255))  # the file in the archive that is run
    config: Mapped[str | None] = mapped_column(String(255))  # the file with its configuration
    sha256: Mapped[str] = mapped_column(String(64))  # of the archive as it is kept
    size_bytes: Mapped[int]
    files: Mapped[int]  # how many there are
    added_at: Mapped[datetime] = mapped_column(UtcTime)
    added_by: Mapped[str] = mapped_column(String(100))
