"""A computer, what it is, and what it shall do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bty_core.wire.plan import ProvisioningMode
from bty_web.models.base import Base, UtcTime, Word
from bty_web.models.words import Policy


class Group(Base):
    """Machines that are looked at and assigned together."""

    __tablename__ = "groups"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    description: Mapped[str] = mapped_column(String(500), default="")


class Machine(Base):
    """A computer. Its assignment is image, target, provisioning and policy; `revision` counts its changes.

    The image is kept by name: it may vanish from the catalog, and the assignment stays what the
    operator meant.
    """

    __tablename__ = "machines"
    __table_args__ = (
        CheckConstraint("revision >= 1", name="revision"),
        CheckConstraint("name <> ''", name="name"),
        Index("ix_machines_group_id_name", "group_id", "name"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    mac: Mapped[str] = mapped_column(String(17), unique=True)  # the primary one
    name: Mapped[str | None] = mapped_column(String(80), unique=True)
    group_id: Mapped[int | None] = mapped_column(ForeignKey("groups.id", ondelete="SET NULL"))
    notes: Mapped[str] = mapped_column(String(2000), default="")
    tags: Mapped[str] = mapped_column(
        String(500), default="", server_default=text("''")
    )  # with a blank between them

    image: Mapped[str | None] = mapped_column(String(255), index=True)
    target: Mapped[str | None] = mapped_column(String(1000))
    provisioning_mode: Mapped[ProvisioningMode] = mapped_column(
        Word(ProvisioningMode), default=ProvisioningMode.NONE
    )
    workflow: Mapped[str | None] = mapped_column(String(80))  # NAME, or NAME@VERSION
    verify: Mapped[bool] = mapped_column(default=True)
    fix_gpt: Mapped[bool] = mapped_column(default=False)
    uefi_entry: Mapped[bool] = mapped_column(default=False)
    boot_policy: Mapped[Policy] = mapped_column(Word(Policy), index=True)
    local_boot: Mapped[str] = mapped_column(String(20), default="auto")  # auto, exit, sanboot:0x80
    revision: Mapped[int] = mapped_column(default=1)
    failures_forgiven_at: Mapped[datetime | None] = mapped_column(UtcTime)  # an operator has acted
    reflash_armed_at: Mapped[datetime | None] = mapped_column(UtcTime)

    discovered_at: Mapped[datetime] = mapped_column(UtcTime, index=True)
    discovered_from: Mapped[str | None] = mapped_column(String(45))  # the client; None: an operator
    last_seen_at: Mapped[datetime | None] = mapped_column(UtcTime, index=True)
    last_seen_ip: Mapped[str | None] = mapped_column(String(45))
    last_flashed_at: Mapped[datetime | None] = mapped_column(UtcTime)
    local_served_at: Mapped[datetime | None] = mapped_column(UtcTime)
    platform: Mapped[str | None] = mapped_column(String(20))  # pcbios or efi, as iPXE says
    uuid: Mapped[str | None] = mapped_column(String(36), index=True)  # plausible ones only
    serial: Mapped[str | None] = mapped_column(String(200), index=True)
    product: Mapped[str | None] = mapped_column(String(200))
    inventory: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # the report, as it came
    inventory_at: Mapped[datetime | None] = mapped_column(UtcTime)

    # Of the newest attempt, so that a list of thousands needs one query.
    attempt_id: Mapped[int | None]  # no foreign key: the attempts refer to machines already
    # Microseconds since 1970 of the last change of this machine or its attempts: pages follow it.
    changed: Mapped[int] = mapped_column(BigInteger, index=True, default=0)

    group: Mapped[Group | None] = relationship(lazy="raise_on_sql")
    macs: Mapped[list[Mac]] = relationship(
        back_populates="machine", cascade="all, delete-orphan", passive_deletes=True
    )

    @property
    def title(self) -> str:
        """What a person calls it."""
        return self.name or self.mac


class Mac(Base):
    """An address by which a machine is found; each belongs to one machine."""

    __tablename__ = "macs"

    mac: Mapped[str] = mapped_column(String(17), primary_key=True)
    machine_id: Mapped[int] = mapped_column(
        ForeignKey("machines.id", ondelete="CASCADE"), index=True
    )
    nic: Mapped[str | None] = mapped_column(String(200))  # its name in the inventory

    machine: Mapped[Machine] = relationship(back_populates="macs")
