"""What a person wants to read in a month."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from bty_web.models.base import Base, UtcTime


class Event(Base):
    """Who did what, to what, when, from where."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcTime, index=True)
    kind: Mapped[str] = mapped_column(String(40), index=True)
    actor: Mapped[str] = mapped_column(String(100))  # a user, "token LABEL", "machine", "bty"
    address: Mapped[str | None] = mapped_column(String(45))
    machine_id: Mapped[int | None] = mapped_column(
        ForeignKey("machines.id", ondelete="SET NULL"), index=True
    )
    attempt_id: Mapped[int | None] = mapped_column(ForeignKey("attempts.id", ondelete="SET NULL"))
    subject: Mapped[str] = mapped_column(String(255), index=True)  # as it was called then
    message: Mapped[str] = mapped_column(String(2000))
