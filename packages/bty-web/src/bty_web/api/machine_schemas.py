"""What requests and answers about machines are made of."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, StringConstraints

from bty_core.wire.plan import ProvisioningMode
from bty_web.api.attempts import AttemptAnswer
from bty_web.api.fields import (
    Answer,
    Body,
    ImageName,
    Line,
    MacText,
    Name,
    Notes,
    OneOf,
    Page,
    Paged,
    Target,
    omittable,
)
from bty_web.models.words import Policy, State
from bty_web.services.listing import SORTS

WorkflowName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}(@[1-9][0-9]{0,8})?$")
]
Tags = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 ._-]*$", max_length=500)]
LocalBoot = Annotated[str, StringConstraints(pattern=r"^(auto|exit|sanboot:0x[0-9a-fA-F]{2})$")]
GroupName = Annotated[
    str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f<>\"'&`$\\/]*$", min_length=1, max_length=80)
]

IMAGE = "The name of an image in the catalog; null for none."
TARGET = "The disk, as a selector: a path, `serial=…`, `model=…`, `size>=…`; null for none."
PROVISIONING = (
    "What is done to the disk after the write: `none`, `cloud-init` with the seed of machine or group, or `cijoe` "
    "with a workflow."
)
WORKFLOW = "The workflow for `cijoe`: `NAME`, the newest version, or `NAME@VERSION`; null for none."
TAGS = "Words for templates and people, with a blank between them."
VERIFY = "Whether the disk is read back after the write, past the cache, and compared."
FIX_GPT = (
    "Whether the backup of the GPT is moved to the end of a disk that is larger than the image."
)
UEFI_ENTRY = (
    "Whether a UEFI boot entry is added, for the next boot only: BootOrder is never changed."
)
POLICY = "What a network boot means."
LOCAL_BOOT = (
    "How its own disk is booted: `auto`, `exit`, or `sanboot:0x80` with the drive's number."
)


class MachineAnswer(Answer):
    """A computer: what it is, what it shall do, and its newest attempt."""

    mac: str = Field(description="The primary MAC address.")
    macs: list[str] = Field(description="All MAC addresses by which it is found.")
    name: str | None
    group: str | None
    notes: str
    tags: str = Field(description=TAGS)
    image: str | None = Field(description="It may be gone from the catalog.")
    target: str | None = Field(description="The disk, as a selector.")
    provisioning_mode: ProvisioningMode
    workflow: str | None = Field(description=WORKFLOW)
    verify: bool = Field(description=VERIFY)
    fix_gpt: bool = Field(description=FIX_GPT)
    uefi_entry: bool = Field(description=UEFI_ENTRY)
    boot_policy: Policy
    local_boot: str
    revision: int = Field(
        description="Grows when image, target, provisioning, an option of the flash or the policy changes."
    )
    reflash_armed_at: AwareDatetime | None = Field(
        description="Since when its next network boot flashes it, whatever the policy."
    )
    discovered_at: AwareDatetime
    last_seen_at: AwareDatetime | None
    last_seen_ip: str | None
    last_flashed_at: AwareDatetime | None
    platform: str | None
    serial: str | None
    uuid: str | None
    product: str | None
    attempt: AttemptAnswer | None = Field(description="The newest one.")


class MachineDetail(MachineAnswer):
    """A machine with what it has."""

    inventory: dict[str, Any] | None = Field(description="As the machine reported it.")
    inventory_at: AwareDatetime | None


class MachinePage(Page):
    """One page of machines."""

    items: list[MachineAnswer]


class Assignment(Body):
    """What an operator may decide about a machine. What is left out is as for a new machine."""

    name: Name | None = Field(default=None, description="Unique; null for none.")
    group: GroupName | None = Field(default=None, description="An existing group; null for none.")
    notes: Notes = ""
    tags: Tags = Field(default="", description=TAGS)
    image: ImageName | None = Field(default=None, description=IMAGE)
    target: Target | None = Field(default=None, description=TARGET)
    provisioning_mode: ProvisioningMode = Field(
        default=ProvisioningMode.NONE, description=PROVISIONING
    )
    workflow: WorkflowName | None = Field(default=None, description=WORKFLOW)
    verify: bool = Field(default=True, description=VERIFY)
    fix_gpt: bool = Field(default=False, description=FIX_GPT)
    uefi_entry: bool = Field(default=False, description=UEFI_ENTRY)
    boot_policy: Policy = omittable(f"{POLICY} Left out: the server's default policy.")
    local_boot: LocalBoot = Field(default="auto", description=LOCAL_BOOT)


class BulkChange(Body):
    """What changes; a field that is left out stays as it is, and null clears."""

    group: GroupName | None = omittable("An existing group; null for none.")
    notes: Notes | None = omittable("Free text.")
    tags: Tags | None = omittable(TAGS)
    image: ImageName | None = omittable(IMAGE)
    target: Target | None = omittable(TARGET)
    provisioning_mode: ProvisioningMode = omittable(PROVISIONING)
    workflow: WorkflowName | None = omittable(WORKFLOW)
    verify: bool = omittable(VERIFY)
    fix_gpt: bool = omittable(FIX_GPT)
    uefi_entry: bool = omittable(UEFI_ENTRY)
    boot_policy: Policy = omittable(POLICY)
    local_boot: LocalBoot = omittable(LOCAL_BOOT)

    def given(self) -> dict[str, Any]:
        """Return the fields that stand in the request."""
        return {name: getattr(self, name) for name in sorted(self.model_fields_set)}


class MachineChange(BulkChange):
    """What changes; a field that is left out stays as it is, and null clears."""

    name: Name | None = omittable("Unique; null for none.")


SortKey = Annotated[str, OneOf(*SORTS, *(f"-{one}" for one in SORTS))]
StateWord = Annotated[str, OneOf(*(one.value for one in State), "active", "none")]


class MachineQuery(Paged):
    """Which machines, and how they are sorted."""

    search: Line | None = omittable(
        "Words that all occur in name, MAC, serial, product, address or image."
    )
    state: StateWord | None = omittable(
        "The state of the newest attempt; `active`: under way; `none`: no attempt yet."
    )
    policy: Policy | None = omittable("With this boot policy.")
    image: Line | None = omittable("With this image; `-`: without one.")
    group: Line | None = omittable("In this group; `-`: in none.")
    sort: SortKey = Field(default="name", description="By what; with a hyphen backwards.")


class BulkFilter(Body):
    """Which machines: those that all of this fits."""

    search: Line = omittable("As in the list of machines.")
    state: StateWord = omittable("As in the list of machines.")
    policy: Policy = omittable("As in the list of machines.")
    image: Line = omittable("As in the list of machines.")
    group: Line = omittable("As in the list of machines.")


class BulkRequest(Body):
    """One change of many machines: either those in `macs`, or all that `filter` lets through."""

    macs: list[MacText] = Field(
        default_factory=list, max_length=10_000, description="Each must be known."
    )
    filter: BulkFilter | None = omittable("`{}` is all machines.")
    change: BulkChange


class BulkAnswer(Answer):
    """What a change of many machines did."""

    matched: int = Field(description="How many machines were meant.")
    changed: list[str] = Field(description="The primary MACs of those that became different.")


class Decided(StrEnum):
    """What a contact gets."""

    LOCAL = "local"
    WIZARD = "wizard"
    FLASH = "flash"


class BootPreview(Answer):
    """What a machine would get if it booted from the network now."""

    decision: Decided = Field(description="Its own disk, the wizard, or an unattended flash.")
    reason: str | None = Field(description="Why; null where the boot policy simply says so.")
    obstacle: str | None = Field(description="Why what is assigned cannot be flashed.")
    live_environment: str | None = Field(
        description="The version that it would boot; null: there is none, and it gets its own disk."
    )
