"""What cloud-init gets on a machine: templates, the machine's own or its group's, and what they become."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from sqlalchemy import select
from sqlalchemy.orm import Session

from bty_core.provisioning.errors import SeedRefused
from bty_core.provisioning.seed import Seed as CheckedSeed
from bty_core.wire.fields import InvalidField
from bty_web.errors import NotFound
from bty_web.models import Group, Machine, Seed, User
from bty_web.services.history import Actor, record
from bty_web.services.machines import touch
from bty_web.services.vault import Vault

MOST = 256 * 1024  # characters of one text, as it is written and as it becomes
# What templates can name.
NAMES = {
    "hostname": "the machine's name as a host may have it, or bty- and its MAC address",
    "name": "the machine's name, as it is written",
    "mac": "its primary MAC address, with colons",
    "serial": "its serial number, as the firmware says",
    "uuid": "its UUID, as the firmware says",
    "product": "what it is, as the firmware says",
    "group": "the name of its group",
    "tags": "a list of its tags",
    "image": "the name of its image",
    "ssh_keys": "a list of the public SSH keys of all users",
}
_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedTexts:
    """The files of a NoCloud seed, or their templates. What is empty is not there."""

    user_data: str = ""
    meta_data: str = ""
    network_config: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Templates as they are kept. `of` says whose they are: ``machine`` or ``group``."""

    texts: SeedTexts
    secret: bool
    of: str
    changed_at: datetime


TEXTS = tuple(one.name for one in fields(SeedTexts))
_FILES = {name: name.replace("_", "-") for name in TEXTS}


def find(session: Session, owner: Machine | Group) -> Seed | None:
    """Return what is kept for `owner` itself, or None."""
    return session.scalar(select(Seed).where(_mine(owner)))


def for_machine(session: Session, machine: Machine) -> Seed | None:
    """Return what `machine` gets: its own, otherwise its group's, or None."""
    own = find(session, machine)
    if own is not None or machine.group_id is None:
        return own
    return session.scalar(select(Seed).where(Seed.group_id == machine.group_id))


def opened(seed: Seed, vault: Vault) -> Kept:
    """Return the templates in the clear; raise `VaultLocked`."""
    texts = {name: getattr(seed, name) for name in TEXTS}
    if seed.secret:
        texts = {name: vault.open(text) if text else "" for name, text in texts.items()}
    return Kept(
        texts=SeedTexts(**texts),
        secret=seed.secret,
        of="machine" if seed.machine_id is not None else "group",
        changed_at=seed.changed_at,
    )


def keep(
    session: Session,
    owner: Machine | Group,
    texts: SeedTexts,
    *,
    secret: bool,
    vault: Vault,
    by: Actor,
    now: datetime,
) -> Seed:
    """Keep templates for `owner`, in place of what was there. They are tried on it, or on a machine of the group.

    Raises `InvalidField` for one that is no template, too long, without user-data, or becomes what
    cloud-init does not understand.
    """
    _check(texts)
    if (machine := example(session, owner)) is not None:
        rendered(session, machine, texts)
    sealed = {name: getattr(texts, name) for name in TEXTS}
    if secret:
        sealed = {name: vault.seal(text) if text else "" for name, text in sealed.items()}
    seed = find(session, owner)
    if seed is None:
        seed = Seed(
            machine_id=owner.id if isinstance(owner, Machine) else None,
            group_id=owner.id if isinstance(owner, Group) else None,
        )
        session.add(seed)
    for name, text in sealed.items():
        setattr(seed, name, text)
    seed.secret = secret
    seed.changed_at = now
    _changed(session, owner, "was given another seed for cloud-init", by, now)
    return seed


def remove(session: Session, owner: Machine | Group, *, by: Actor, now: datetime) -> None:
    """Remove what is kept for `owner`; raise `NotFound` where nothing is."""
    seed = find(session, owner)
    if seed is None:
        raise NotFound(f"{_title(owner)} has no seed of its own")
    session.delete(seed)
    _changed(session, owner, "has no seed for cloud-init any more", by, now)


def rendered(session: Session, machine: Machine, texts: SeedTexts) -> SeedTexts:
    """Return what the templates become for `machine`; raise `InvalidField` naming the text and why."""
    known = variables(session, machine)
    made = {}
    for name in TEXTS:
        try:
            template = _ENVIRONMENT.from_string(getattr(texts, name))
            made[name] = _bounded(template.generate(**known))
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise InvalidField(
                name,
                f"the template of {_FILES[name]} cannot be filled in for {machine.title}: {error}",
                hint="the variables are in the manual, on the page about provisioning",
            ) from error
    filled = SeedTexts(**made)
    _understood(machine, filled)
    return filled


def _understood(machine: Machine, texts: SeedTexts) -> None:
    """Raise `InvalidField` for what cloud-init would not understand."""
    parts = [texts.user_data, texts.meta_data, texts.network_config]
    user_data, meta_data, network = (part.encode() for part in parts)
    try:
        CheckedSeed.of(user_data, meta_data or None, network or None)
    except SeedRefused as error:
        field = next((name for name in TEXTS if _FILES[name] in error.message), "user_data")
        told = f"for {machine.title}: {error.message}"
        raise InvalidField(field, told, hint=error.hint) from error


def variables(session: Session, machine: Machine) -> dict[str, Any]:
    """Return what templates can name."""
    group = session.get(Group, machine.group_id) if machine.group_id else None
    keys = session.scalars(select(User.ssh_keys).order_by(User.name)).all()
    return {
        "hostname": hostname(machine),
        "name": machine.name or "",
        "mac": machine.mac,
        "serial": machine.serial or "",
        "uuid": machine.uuid or "",
        "product": machine.product or "",
        "group": group.name if group else "",
        "tags": machine.tags.split(),
        "image": machine.image or "",
        "ssh_keys": [line for text in keys for line in text.splitlines() if line.strip()],
    }


def example(session: Session, owner: Machine | Group) -> Machine | None:
    """Return a machine on which the templates of `owner` can be tried, or None for an empty group."""
    if isinstance(owner, Machine):
        return owner
    mine = select(Machine).where(Machine.group_id == owner.id).order_by(Machine.name, Machine.id)
    return session.scalar(mine.limit(1))


def hostname(machine: Machine) -> str:
    """Return a name that a host may have: the machine's, otherwise ``bty-`` and its MAC address."""
    letters = (one if one.isascii() and one.isalnum() else "-" for one in machine.name or "")
    made = "".join(letters).strip("-").lower()[:63].strip("-")
    return made or f"bty-{machine.mac.replace(':', '')}"


def _bounded(pieces: Iterable[str]) -> str:
    made: list[str] = []
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > MOST:
            raise ValueError(f"it becomes longer than {MOST} characters")
        made.append(piece)
    return "".join(made)


def _check(texts: SeedTexts) -> None:
    for name in TEXTS:
        text = getattr(texts, name)
        if len(text) > MOST:
            raise InvalidField(name, f"{_FILES[name]} is longer than {MOST} characters")
        try:
            _ENVIRONMENT.from_string(text)
        except TemplateError as error:
            raise InvalidField(name, f"{_FILES[name]} is no template: {error}") from error
    if not texts.user_data.strip():
        raise InvalidField(
            "user_data",
            "user-data is missing",
            hint="begin it with a line '#cloud-config', or remove the whole seed",
        )


def _mine(owner: Machine | Group) -> Any:
    column = Seed.machine_id if isinstance(owner, Machine) else Seed.group_id
    return column == owner.id


def _title(owner: Machine | Group) -> str:
    return owner.title if isinstance(owner, Machine) else f"the group {owner.name}"


def _changed(session: Session, owner: Machine | Group, told: str, by: Actor, now: datetime) -> None:
    if isinstance(owner, Machine):
        touch(owner)
        record(session, "machine.seed", told, by=by, now=now, machine=owner)
    else:
        record(session, "group.seed", told, by=by, now=now, subject=owner.name)
    session.flush()
