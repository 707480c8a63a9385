"""Seeds for cloud-init: what is kept for a machine or a group, and what it becomes."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints
from sqlalchemy.orm import Session

from bty_core.values import MIB, MacAddress
from bty_web.api import auth
from bty_web.api.fields import Answer, Body, omittable
from bty_web.api.operations import operation
from bty_web.errors import Conflict, NotFound
from bty_web.extensions import db, writing
from bty_web.models import Group, Machine, Seed
from bty_web.models.words import Scope
from bty_web.security import vault
from bty_web.services import clock, groups, machines, seeds
from bty_web.services.seeds import SeedTexts

# As they are typed and sent: no control characters but tabs and ends of lines.
Text = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$", max_length=seeds.MOST),
]
USER_DATA = "A template of user-data, such as one that begins with `#cloud-config`."
META_DATA = "A template of further meta-data, as YAML; `instance-id` is new at each flash."
NETWORK = "A template of network-config, as YAML; empty: cloud-init asks for addresses."
SECRET = "Whether the texts are kept encrypted, shown to nobody, and given out once per attempt."


class SeedAnswer(Answer):
    """Templates that are kept. The texts of a secret seed are null."""

    of: str = Field(description="Whose they are: `machine` or `group`.")
    secret: bool = Field(description=SECRET)
    changed_at: AwareDatetime
    user_data: str | None
    meta_data: str | None
    network_config: str | None


class SeedPreview(Answer):
    """What a machine would get."""

    user_data: str
    meta_data: str
    network_config: str


class SeedBody(Body):
    """Templates to be kept, in place of what was there."""

    most_bytes = 8 * MIB  # three texts, each letter escaped

    user_data: Text = Field(description=USER_DATA)
    meta_data: Text = Field(default="", description=META_DATA)
    network_config: Text = Field(default="", description=NETWORK)
    secret: bool = Field(default=False, description=SECRET)


class PreviewBody(Body):
    """Templates that are only tried; left out: those that are kept."""

    most_bytes = SeedBody.most_bytes

    user_data: Text = omittable(USER_DATA)
    meta_data: Text = Field(default="", description=META_DATA)
    network_config: Text = Field(default="", description=NETWORK)


@operation(
    "GET",
    "/machines/{mac}/seed",
    tag="seeds",
    scope=Scope.OPERATE,
    answers={200: SeedAnswer},
    problems=[404],
)
def show_machine_seed(mac: MacAddress) -> SeedAnswer:
    """Show what is kept for a machine: its own seed, otherwise its group's."""
    session = db.session()
    machine = machines.get(session, mac)
    seed = seeds.for_machine(session, machine)
    return _answer(seed, machine.title)


@operation(
    "PUT",
    "/machines/{mac}/seed",
    tag="seeds",
    scope=Scope.OPERATE,
    body=SeedBody,
    answers={200: SeedAnswer},
    problems=[404],
)
def keep_machine_seed(mac: MacAddress, body: SeedBody) -> SeedAnswer:
    """Keep a seed for a machine. It goes before its group's."""
    with writing() as session:
        return _kept(session, machines.get(session, mac, lock=True), body)


@operation(
    "DELETE",
    "/machines/{mac}/seed",
    tag="seeds",
    scope=Scope.OPERATE,
    answers={204: None},
    problems=[404],
)
def remove_machine_seed(mac: MacAddress) -> None:
    """Remove the seed of a machine; its group's counts from then on."""
    with writing() as session:
        machine = machines.get(session, mac, lock=True)
        seeds.remove(session, machine, by=auth.actor(), now=clock.now())


@operation(
    "POST",
    "/machines/{mac}/seed/preview",
    tag="seeds",
    scope=Scope.OPERATE,
    body=PreviewBody,
    answers={200: SeedPreview},
    problems=[404],
)
def preview_machine_seed(mac: MacAddress, body: PreviewBody) -> SeedPreview:
    """Show what templates become for a machine; nothing is kept.

    What is kept as a secret is not shown: 409.
    """
    session = db.session()
    machine = machines.get(session, mac)
    if body.user_data is not None:
        texts = SeedTexts(
            user_data=body.user_data, meta_data=body.meta_data, network_config=body.network_config
        )
    else:
        texts = _shown(seeds.for_machine(session, machine), machine.title)
    return SeedPreview.model_validate(seeds.rendered(session, machine, texts))


@operation(
    "GET",
    "/groups/{name}/seed",
    tag="seeds",
    scope=Scope.OPERATE,
    answers={200: SeedAnswer},
    problems=[404],
)
def show_group_seed(name: str) -> SeedAnswer:
    """Show what is kept for the machines of a group."""
    session = db.session()
    group = groups.get(session, name)
    return _answer(seeds.find(session, group), f"the group {group.name}")


@operation(
    "PUT",
    "/groups/{name}/seed",
    tag="seeds",
    scope=Scope.OPERATE,
    body=SeedBody,
    answers={200: SeedAnswer},
    problems=[404],
)
def keep_group_seed(name: str, body: SeedBody) -> SeedAnswer:
    """Keep a seed for all machines of a group that have none of their own."""
    with writing() as session:
        return _kept(session, groups.get(session, name), body)


@operation(
    "DELETE",
    "/groups/{name}/seed",
    tag="seeds",
    scope=Scope.OPERATE,
    answers={204: None},
    problems=[404],
)
def remove_group_seed(name: str) -> None:
    """Remove the seed of a group."""
    with writing() as session:
        group = groups.get(session, name)
        seeds.remove(session, group, by=auth.actor(), now=clock.now())


def _kept(session: Session, owner: Machine | Group, body: SeedBody) -> SeedAnswer:
    texts = SeedTexts(
        user_data=body.user_data, meta_data=body.meta_data, network_config=body.network_config
    )
    seed = seeds.keep(
        session,
        owner,
        texts,
        secret=body.secret,
        vault=vault(),
        by=auth.actor(),
        now=clock.now(),
    )
    return _answer(seed, "")


def _answer(seed: Seed | None, whose: str) -> SeedAnswer:
    if seed is None:
        raise _none(whose)
    texts = dict.fromkeys(seeds.TEXTS)
    shown = texts if seed.secret else {name: getattr(seed, name) for name in seeds.TEXTS}
    return SeedAnswer(
        of="machine" if seed.machine_id is not None else "group",
        secret=seed.secret,
        changed_at=seed.changed_at,
        **shown,
    )


def _shown(seed: Seed | None, whose: str) -> SeedTexts:
    if seed is None:
        raise _none(whose)
    if seed.secret:
        raise Conflict(
            f"the seed of {whose} is kept as a secret, and is not shown",
            hint="send the templates themselves to try them",
        )
    return seeds.opened(seed, vault()).texts


def _none(whose: str) -> NotFound:
    return NotFound(f"no seed is kept for {whose}", hint="keep one with PUT")
