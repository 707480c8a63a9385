"""One entry of the catalog."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from bty_web.models.base import Base, UtcTime, Word
from bty_web.models.words import ImageState


class Image(Base):
    """A file of the image root, as it was when it was looked at. Sizes are bytes."""

    __tablename__ = "images"
    __table_args__ = (CheckConstraint("size_bytes >= 0", name="size"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    state: Mapped[ImageState] = mapped_column(Word(ImageState), index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    stamp: Mapped[str] = mapped_column(
        String(80)
    )  # device, inode, size and mtime: another file is another image
    format: Mapped[str | None] = mapped_column(String(20))
    virtual_size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    disk_sha256: Mapped[str | None] = mapped_column(String(64))
    description: Mapped[str | None] = mapped_column(String(4096))
    table: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # partition table, where it has one
    warnings: Mapped[list[str]] = mapped_column(JSON, default=list)
    message: Mapped[str | None] = mapped_column(String(2000))  # why it is broken
    hint: Mapped[str | None] = mapped_column(String(2000))
    added_at: Mapped[datetime] = mapped_column(UtcTime)
    measured_at: Mapped[datetime | None] = mapped_column(UtcTime)
    changed: Mapped[int] = mapped_column(BigInteger, index=True, default=0)
