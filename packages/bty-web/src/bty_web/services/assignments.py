"""What an operator wants of a machine: its assignment, its name and group, and a reflash out of turn."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bty_core.wire.fields import InvalidField
from bty_core.wire.plan import ProvisioningMode
from bty_web.models import Group, Image, Machine
from bty_web.models.words import Policy
from bty_web.services import targets, workflows
from bty_web.services.history import Actor, record
from bty_web.services.machines import touch

_LOCAL_BOOT = re.compile(r"auto|exit|sanboot:0x[0-9a-f]{2}")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_NAME = re.compile(r"[^\x00-\x1f\x7f<>\"'&`$\\]{1,80}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an operator changes of a machine; a field that is not in `given` stays as it is."""

    name: str | None = None
    group: str | None = None
    notes: str | None = None
    tags: str | None = None
    image: str | None = None
    target: str | None = None
    provisioning_mode: str | None = None
    workflow: str | None = None
    verify: bool | str | None = None
    fix_gpt: bool | str | None = None
    uefi_entry: bool | str | None = None
    boot_policy: str | None = None
    local_boot: str | None = None
    given: frozenset[str] = frozenset()

    @classmethod
    def of(cls, **values: Any) -> Change:
        """Return the change of just these fields."""
        known = {one.name for one in fields(cls)} - {"given"}
        return cls(**{k: v for k, v in values.items() if k in known}, given=frozenset(values))


OPTIONS = ("verify", "fix_gpt", "uefi_entry")  # of the flash, each yes or no
ASSIGNMENT = ("image", "target", "provisioning_mode", "workflow", *OPTIONS, "boot_policy")


def change(
    session: Session, machine: Machine, wanted: Change, *, by: Actor, now: datetime
) -> list[str]:
    """Change what `wanted` gives; return the names of what became different.

    An assignment that became different has a new revision. Raises `InvalidField` and changes
    nothing when a value cannot be.
    """
    values = _checked(session, machine, wanted)
    different = {name: value for name, value in values.items() if getattr(machine, name) != value}
    if not different:
        return []
    for name, value in different.items():
        setattr(machine, name, value)
    if any(name in different for name in ASSIGNMENT):
        machine.revision += 1
        acted(machine, now)
    touch(machine)
    told = ", ".join(
        f"{name.removesuffix('_id')}: {'none' if value is None else wanted_text(wanted, name)}"
        for name, value in different.items()
    )
    record(session, "machine.changed", told, by=by, now=now, machine=machine)
    session.flush()
    return list(different)


def wanted_text(wanted: Change, name: str) -> str:
    """Return what an operator gave for the column `name`."""
    value = getattr(wanted, name.removesuffix("_id"))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def acted(machine: Machine, now: datetime) -> None:
    """Note that an operator acted: failures are forgiven, and nothing holds the machine on its disk."""
    machine.failures_forgiven_at = now
    machine.local_served_at = None


def _checked(session: Session, machine: Machine, wanted: Change) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in sorted(wanted.given):
        value = getattr(wanted, name)
        value = value.strip() if isinstance(value, str) else value
        match name:
            case "group":
                values["group_id"] = _group(session, value)
            case "notes":
                values[name] = _cut(name, value or "", 2000)
            case "name" | "image" | "workflow":
                values[name] = _KNOWN[name](session, machine, value)
            case "tags":
                values[name] = _tags(value or "")
            case "target":
                values[name] = str(targets.parse(_cut(name, value, 1000))) if value else None
            case "verify" | "fix_gpt" | "uefi_entry":
                values[name] = _yes(name, value)
            case "provisioning_mode" | "boot_policy" | "local_boot":
                values[name] = _WORDS[name](value)
            case _:
                raise InvalidField(name, f"a machine has no '{name}'")
    return values


def _cut(field: str, value: str, most: int) -> str:
    if len(value) > most:
        raise InvalidField(field, f"'{field}' is longer than {most} characters: {len(value)}")
    return value


def _name(session: Session, machine: Machine, value: str | None) -> str | None:
    if not value:
        return None
    if not _NAME.fullmatch(value):
        raise InvalidField(
            "name",
            "a name has 1 to 80 characters, without control characters and without < > \" ' & ` $ \\",
        )
    taken = select(Machine.id).where(Machine.name == value, Machine.id != machine.id)
    if session.scalar(taken) is not None:
        raise InvalidField("name", f"another machine is called '{value}'")
    return value


def _tags(text: str) -> str:
    tags = list(dict.fromkeys(text.replace(",", " ").split()))
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise InvalidField(
                "tags",
                f"'{tag[:40]}' is no tag: letters, digits, dots, hyphens, underscores, at most 40",
            )
    return _cut("tags", " ".join(tags), 500)


def _group(session: Session, value: str | None) -> int | None:
    if not value:
        return None
    found = session.scalar(select(Group.id).where(Group.name == value))
    if found is None:
        raise InvalidField("group", f"there is no group '{value}'", hint="make it first")
    return found


def _image(session: Session, machine: Machine, value: str | None) -> str | None:
    if not value:
        return None
    # What is assigned already stays assignable: its image may have gone for a moment.
    known = select(Image.id).where(Image.name == value)
    if value != machine.image and session.scalar(known) is None:
        raise InvalidField(
            "image", f"there is no image '{value[:255]}' in the catalog", hint="upload it first"
        )
    return value


def _workflow(session: Session, machine: Machine, value: str | None) -> str | None:
    if not value:
        return None
    if value != machine.workflow and workflows.find(session, value) is None:
        raise InvalidField(
            "workflow", f"there is no workflow '{value[:80]}'", hint="upload it first"
        )
    return value


def _provisioning(value: str | None) -> ProvisioningMode:
    try:
        mode = ProvisioningMode(value or "")
    except ValueError:
        allowed = ", ".join(sorted(ProvisioningMode))
        raise InvalidField(
            "provisioning_mode", f"'{str(value)[:40]}' is not a provisioning mode: {allowed}"
        ) from None
    return mode


def _yes(name: str, value: bool | str | None) -> bool:
    match value:
        case bool():
            return value
        case "yes":
            return True
        case "no":
            return False
        case _:
            raise InvalidField(name, f"'{name}' is yes or no, not '{str(value)[:40]}'")


def _policy(value: str | None) -> Policy:
    try:
        return Policy(value or "")
    except ValueError:
        allowed = ", ".join(one.value for one in Policy)
        raise InvalidField(
            "boot_policy", f"'{str(value)[:40]}' is not a boot policy: {allowed}"
        ) from None


def _local_boot(value: str | None) -> str:
    found = (value or "").lower()
    if not _LOCAL_BOOT.fullmatch(found):
        raise InvalidField(
            "local_boot",
            f"'{found[:40]}' is no way to boot the local disk",
            hint="allowed: auto, exit, sanboot:0x80 (with the drive's number)",
        )
    return found


_KNOWN: Mapping[str, Callable[[Session, Machine, str | None], str | None]] = {
    "name": _name,
    "image": _image,
    "workflow": _workflow,
}
_WORDS: Mapping[str, Callable[[str | None], str]] = {
    "provisioning_mode": _provisioning,
    "boot_policy": _policy,
    "local_boot": _local_boot,
}


def arm(session: Session, machine: Machine, *, by: Actor, now: datetime) -> None:
    """Let the next network boot of `machine` flash it, whatever its policy."""
    machine.reflash_armed_at = now
    acted(machine, now)
    touch(machine)
    record(
        session,
        "machine.reflash",
        "will be flashed at its next network boot",
        by=by,
        now=now,
        machine=machine,
    )


def disarm(session: Session, machine: Machine, *, by: Actor, now: datetime) -> None:
    """Take back an `arm` that has not been followed yet."""
    if machine.reflash_armed_at is None:
        return
    machine.reflash_armed_at = None
    touch(machine)
    record(
        session,
        "machine.reflash-off",
        "will not be flashed out of turn",
        by=by,
        now=now,
        machine=machine,
    )
