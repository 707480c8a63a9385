"""One try at flashing one machine."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from bty_web.models.base import Base, UtcTime, Word
from bty_web.models.words import AttemptMode, State, Trigger


class Attempt(Base):
    """One try at flashing one machine, with its own id and token.

    The token itself is not kept: it is made of `nonce` and the server's key, so that a contact that
    gets the same attempt again gets the same token, and a stolen database holds none.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        CheckConstraint("disk_bytes >= 0 AND source_bytes >= 0", name="bytes"),
        Index("ix_attempts_machine_id_id", "machine_id", "id"),
        Index("ix_attempts_state_heard_at", "state", "heard_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    machine_id: Mapped[int] = mapped_column(ForeignKey("machines.id", ondelete="CASCADE"))
    revision: Mapped[int]  # of the assignment when it was opened
    state: Mapped[State] = mapped_column(Word(State), default=State.OFFERED)
    mode: Mapped[AttemptMode] = mapped_column(Word(AttemptMode))
    trigger: Mapped[Trigger] = mapped_column(Word(Trigger))
    reason: Mapped[str | None] = mapped_column(String(1000))  # why the wizard, where it is one

    nonce: Mapped[str] = mapped_column(String(32))
    client: Mapped[str | None] = mapped_column(String(45))  # the address that first used the token
    offered_to: Mapped[str | None] = mapped_column(String(45))

    image: Mapped[str | None] = mapped_column(String(255), index=True)
    image_sha256: Mapped[str | None] = mapped_column(String(64))
    target: Mapped[str | None] = mapped_column(String(1000))  # the selector
    disk: Mapped[str | None] = mapped_column(String(200))  # what the machine says it writes
    disk_details: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # a DiskReport of it
    console: Mapped[str | None] = mapped_column(String(80))  # where the person is, if one is

    phase: Mapped[str | None] = mapped_column(String(20))
    source_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    disk_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    total_bytes: Mapped[int | None] = mapped_column(BigInteger)
    bytes_per_second: Mapped[int | None] = mapped_column(BigInteger)
    bottleneck: Mapped[str | None] = mapped_column(String(20))
    try_number: Mapped[int | None] = mapped_column(BigInteger)
    bytes_written: Mapped[int | None] = mapped_column(BigInteger)
    seconds: Mapped[float | None]

    # The queue of those that want to write; what they mean together is in services.turns.
    queued_at: Mapped[datetime | None] = mapped_column(UtcTime)  # first asked for its turn
    turn_at: Mapped[datetime | None] = mapped_column(UtcTime)  # got it
    lapses_at: Mapped[datetime | None] = mapped_column(UtcTime)

    started_at: Mapped[datetime] = mapped_column(UtcTime)
    heard_at: Mapped[datetime] = mapped_column(UtcTime)  # offered, or the last report
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)
    cancel_asked_at: Mapped[datetime | None] = mapped_column(UtcTime)
    secrets_released_at: Mapped[datetime | None] = mapped_column(UtcTime)
    own_system_at: Mapped[datetime | None] = mapped_column(
        UtcTime
    )  # served its own disk afterwards
    superseded_by: Mapped[int | None] = mapped_column(
        ForeignKey("attempts.id", ondelete="SET NULL")
    )
    workflow: Mapped[str | None] = mapped_column(String(80))  # NAME@VERSION that was given out
    report_at: Mapped[datetime | None] = mapped_column(UtcTime)  # the workflow's report came
    online_state: Mapped[str | None] = mapped_column(String(20))

    code: Mapped[str | None] = mapped_column(String(40))
    message: Mapped[str | None] = mapped_column(String(2000))
    hint: Mapped[str | None] = mapped_column(String(2000))
    log: Mapped[str | None] = mapped_column(Text)
