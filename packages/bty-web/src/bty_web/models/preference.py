"""What the Settings page keeps."""

from __future__ import annotations

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from bty_web.models.base import Base


class Preference(Base):
    """One setting that was changed on the Settings page, as text."""

    __tablename__ = "preferences"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
