"""What a plan says of provisioning: to whom, and how often."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from bty_core.errors import BtyError
from bty_core.wire.plan import Provisioning, ProvisioningMode
from bty_core.wire.plan import Workflow as WorkflowOffer
from bty_web.models import Attempt, Machine
from bty_web.services import access, runs, seeds, workflows
from bty_web.services.history import Actor, record
from bty_web.services.online_seed import with_grant

if TYPE_CHECKING:
    from bty_web.services.vault import Vault


def obstacle(
    mode: ProvisioningMode, *, has_seed: bool, workflow: str | None, has_workflow: bool
) -> str | None:
    """Return why a machine cannot be provisioned as it is assigned, or None."""
    match mode:
        case ProvisioningMode.CLOUD_INIT if not has_seed:
            return "no user-data is kept for this machine or its group"
        case ProvisioningMode.CIJOE | ProvisioningMode.CIJOE_ONLINE if workflow is None:
            return "no workflow is assigned"
        case ProvisioningMode.CIJOE | ProvisioningMode.CIJOE_ONLINE if not has_workflow:
            return f"the workflow {workflow} is no longer there"
        case _:
            return None


def for_attempt(
    session: Session,
    machine: Machine,
    attempt: Attempt,
    vault: Vault,
    base_url: str,
    now: datetime,
) -> Provisioning:
    """Return all that the holder of the attempt's token may know.

    What is secret is given out once for each attempt, and an event says to which address.
    """
    match machine.provisioning_mode:
        case ProvisioningMode.CLOUD_INIT:
            return _seed(session, machine, attempt, vault, now)
        case ProvisioningMode.CIJOE:
            return _workflow(session, machine, attempt, base_url)
        case ProvisioningMode.CIJOE_ONLINE:
            return _online(session, machine, attempt, vault, base_url, now)
        case mode:
            return Provisioning(mode=mode)


def _workflow(session: Session, machine: Machine, attempt: Attempt, base_url: str) -> Provisioning:
    mode = ProvisioningMode.CIJOE
    found = workflows.find(session, machine.workflow)
    if found is None:
        return Provisioning(mode=mode, withheld=f"there is no workflow {machine.workflow}")
    attempt.workflow = f"{found.name}@{found.version}"
    return Provisioning(
        mode=mode,
        workflow=WorkflowOffer(
            name=found.name,
            version=found.version,
            url=f"{base_url}/pxe/{machine.mac}/workflow",
            sha256=found.sha256,
            task=found.task,
            config=found.config,
        ),
    )


def _online(
    session: Session,
    machine: Machine,
    attempt: Attempt,
    vault: Vault,
    base_url: str,
    now: datetime,
) -> Provisioning:
    """Return the machine's seed with what lets the server in; where its image has credentials, nothing."""
    mode = ProvisioningMode.CIJOE_ONLINE
    found = workflows.find(session, machine.workflow)
    if found is None:
        return Provisioning(mode=mode, withheld=f"there is no workflow {machine.workflow}")
    attempt.workflow = f"{found.name}@{found.version}"
    attempt.online_state = runs.EXPECTED
    if access.profile_of(session, attempt.image) is not None:
        return Provisioning(mode=mode)
    if attempt.secrets_released_at is not None:
        return Provisioning(mode=mode, withheld=_released(attempt))
    seed = seeds.for_machine(session, machine)
    try:
        kept = seeds.opened(seed, vault).texts if seed else seeds.SeedTexts()
        made = seeds.rendered(session, machine, kept) if seed else kept
        made = with_grant(made, access.grant(session, machine, attempt, vault, base_url))
    except BtyError as error:
        return Provisioning(mode=mode, withheld=error.message)
    attempt.secrets_released_at = now
    told = f"keys for attempt {attempt.id} were made and given out, once"
    _record(session, machine, attempt, told, now)
    return _told(mode, made)


def _seed(
    session: Session, machine: Machine, attempt: Attempt, vault: Vault, now: datetime
) -> Provisioning:
    mode = ProvisioningMode.CLOUD_INIT
    seed = seeds.for_machine(session, machine)
    if seed is None:
        return Provisioning(
            mode=mode, withheld="no user-data is kept for this machine or its group"
        )
    if seed.secret and attempt.secrets_released_at is not None:
        return Provisioning(mode=mode, withheld=_released(attempt))
    try:
        kept = seeds.opened(seed, vault)
        made = seeds.rendered(session, machine, kept.texts)
    except BtyError as error:
        return Provisioning(mode=mode, withheld=error.message)
    if seed.secret:
        attempt.secrets_released_at = now
        told = f"the secret seed of its {kept.of} was given out to attempt {attempt.id}, once"
        _record(session, machine, attempt, told, now)
    return _told(mode, made)


def _told(mode: ProvisioningMode, made: seeds.SeedTexts) -> Provisioning:
    return Provisioning(
        mode=mode,
        user_data=made.user_data,
        meta_data=made.meta_data or None,
        network_config=made.network_config or None,
    )


def _released(attempt: Attempt) -> str:
    at = f"{attempt.secrets_released_at:%Y-%m-%d %H:%M:%S UTC}"
    return f"the seed of attempt {attempt.id} is secret, and was given out already, at {at}"


def _record(session: Session, machine: Machine, attempt: Attempt, told: str, now: datetime) -> None:
    record(
        session,
        "attempt.seed",
        told,
        by=Actor("machine", attempt.client),
        now=now,
        machine=machine,
        attempt=attempt,
    )
