"""What cloud-init gets on a machine, or on each machine of a group."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from bty_web.models.base import Base, UtcTime


class Seed(Base):
    """Templates for the three files of a NoCloud seed, of one machine or of one group.

    Where it is `secret`, the three texts are sealed by the vault.
    """

    __tablename__ = "seeds"
    __table_args__ = (CheckConstraint("(machine_id IS NULL) <> (group_id IS NULL)", name="owner"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    machine_id: Mapped[int | None] = mapped_column(
        ForeignKey("machines.id", ondelete="CASCADE"), unique=True
    )
    group_id: Mapped[int | None] = mapped_column(
        ForeignKey("groups.id", ondelete="CASCADE"), unique=True
    )
    user_data: Mapped[str] = mapped_column(Text)
    meta_data: Mapped[str] = mapped_column(Text)
    network_config: Mapped[str] = mapped_column(Text)
    secret: Mapped[bool] = mapped_column(default=False)
    changed_at: Mapped[datetime] = mapped_column(UtcTime)
