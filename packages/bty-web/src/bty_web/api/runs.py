"""Runs of the server on machines: workflows after a flash, checks, and the known-good baselines that they leave."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, Field, StringConstraints
from sqlalchemy.orm import Session

from bty_core.values import MacAddress
from bty_web.api import auth, reading
from bty_web.api.fields import Answer, Body, Line, MacText, Page, Paged, omittable
from bty_web.api.operations import Reply, operation
from bty_web.api.paging import page_of
from bty_web.errors import NotFound
from bty_web.extensions import db, writing
from bty_web.jobs import queue
from bty_web.models import Machine, Profile, Run
from bty_web.models.words import RunKind, RunState, Scope
from bty_web.online.log import tail
from bty_web.security import process_settings, settings, vault
from bty_web.services import access, clock, listing, machines, runs

KeyText = Annotated[str, StringConstraints(max_length=20_000)]


class RunAnswer(Answer):
    """One run: of a workflow, or for the facts of a machine alone."""

    id: int
    mac: str = Field(description="The machine's primary MAC address.")
    kind: RunKind
    state: RunState
    attempt_id: int | None = Field(description="The flash that it followed.")
    image: str | None
    image_sha256: str | None
    workflow: str | None = Field(description="`NAME@VERSION`.")
    workflow_sha256: str | None
    address: str | None = Field(description="Where the machine answered.")
    told: str | None = Field(description="What happens now, for a person.")
    step: int | None
    steps: int | None
    asked_by: str
    started_at: AwareDatetime
    answered_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    report_at: AwareDatetime | None = Field(description="When its report was kept.")
    access_left: bool = Field(
        description="Whether its public key still stands on the machine; the private one is gone."
    )
    code: str | None
    message: str | None
    hint: str | None


class RunDetail(RunAnswer):
    """One run with the end of its log."""

    log: str = Field(description="The last 64 KiB of what cijoe said.")


class RunPage(Page):
    """One page of runs, the newest first."""

    items: list[RunAnswer]


class RunQuery(Paged):
    """Which runs."""

    mac: MacText | None = omittable("Those of this machine.")
    workflow: Line | None = omittable("Those of all versions of this workflow.")


class ChangeAnswer(Answer):
    """One fact that is different. Null: it is not there."""

    fact: str
    before: str | None
    after: str | None


class FactsAnswer(Answer):
    """What a machine was known to be."""

    schema_version: str
    machine: dict[str, str | None]
    run: int
    kind: RunKind
    at: str | None
    image: dict[str, str | None]
    workflow: dict[str, str | None]
    facts: dict[str, Any] | None


class BaselineAnswer(Answer):
    """A known-good baseline, the newest check after it, and what is different."""

    baseline: FactsAnswer
    before: int | None = Field(description="The run of the baseline before.")
    since_before: list[ChangeAnswer] = Field(
        description="What is different from the baseline before."
    )
    check: FactsAnswer | None
    drift: list[ChangeAnswer] = Field(description="What the check found to be different.")


class CredentialsAnswer(Answer):
    """What lets the server into machines with an image. Secrets are shown to nobody."""

    image: str
    user: str
    port: int
    has_key: bool
    has_password: bool
    host_key: str | None
    changed_at: AwareDatetime


class CredentialsBody(Body):
    """What lets the server in: a key or a password."""

    user: Line = Field(description="Whom to log in as.")
    port: int = Field(default=22, ge=1, le=65535)
    key: KeyText = Field(default="", description="A private key without a passphrase.")
    password: KeyText = Field(default="")
    host_key: KeyText = Field(
        default="",
        description="The public host key of all machines with the image; empty: it is not checked.",
    )


@operation(
    "GET",
    "/runs",
    tag="runs",
    scope=Scope.READ,
    query=RunQuery,
    answers={200: RunPage},
    problems=[404],
)
def list_runs(query: RunQuery) -> Reply:
    """List runs, the newest first."""
    session = db.session()
    mac = reading.mac_address("mac", query.mac) if query.mac else None
    found = listing.runs(
        session,
        machine_id=machines.get(session, mac).id if mac else None,
        workflow=query.workflow,
        number=query.page,
        size=query.size,
    )
    return page_of(RunPage, found, [_values(*row) for row in found.rows], query)


@operation(
    "GET", "/runs/{id}", tag="runs", scope=Scope.READ, answers={200: RunDetail}, problems=[404]
)
def show_run(id: int) -> RunDetail:
    """Show one run with the end of its log."""
    session = db.session()
    run = runs.get(session, id)
    machine = session.get_one(Machine, run.machine_id)
    log = tail(settings().state_dir, run.id)
    return RunDetail.model_validate({**_values(run, machine), "log": log})


@operation(
    "POST",
    "/runs/{id}/cancel",
    tag="runs",
    scope=Scope.OPERATE,
    answers={200: RunAnswer},
    problems=[404, 409],
)
def cancel_run(id: int) -> RunAnswer:
    """Cancel a run.

    It stops within seconds, and its key is taken off the machine. 409: it has ended.
    """
    with writing() as session:
        run = runs.get(session, id, lock=True)
        runs.cancel(session, run, by=auth.actor(), now=clock.now())
        return _answer(session, run)


@operation(
    "POST",
    "/machines/{mac}/check",
    tag="runs",
    scope=Scope.OPERATE,
    answers={202: RunAnswer},
    problems=[404, 409],
)
def check_machine(mac: MacAddress) -> Reply:
    """Collect the facts of a machine again.

    They are compared with its baseline. 409: it has none.
    """
    with writing() as session:
        machine = machines.get(session, mac, lock=True)
        run = runs.check_now(session, machine, by=auth.actor(), now=clock.now())
        answer, job = _answer(session, run), run.job_id
    assert job is not None
    queue.enqueue(process_settings(), [job])
    return Reply(answer, 202)


@operation(
    "GET",
    "/machines/{mac}/baseline",
    tag="runs",
    scope=Scope.READ,
    answers={200: BaselineAnswer},
    problems=[404],
)
def show_baseline(mac: MacAddress) -> BaselineAnswer:
    """Export the newest known-good baseline of a machine.

    With the newest check after it, and what is different.
    """
    session = db.session()
    machine = machines.get(session, mac)
    known = runs.baseline(session, machine)
    if known is None:
        raise NotFound(f"{machine.title} has no known-good baseline")
    older, check = (
        runs.baseline(session, machine, before=known.id),
        runs.last_check(session, machine),
    )
    since = runs.drift(known, older).changes if older else ()
    drift = runs.drift(check, known).changes if check else ()
    return BaselineAnswer(
        baseline=FactsAnswer.model_validate(runs.export(known, machine)),
        before=older.id if older else None,
        since_before=[ChangeAnswer.model_validate(one) for one in since],
        check=FactsAnswer.model_validate(runs.export(check, machine)) if check else None,
        drift=[ChangeAnswer.model_validate(one) for one in drift],
    )


@operation(
    "GET",
    "/images/{name}/credentials",
    tag="runs",
    scope=Scope.ADMIN,
    answers={200: CredentialsAnswer},
    problems=[404],
)
def show_credentials(name: str) -> CredentialsAnswer:
    """Say what lets the server into machines with an image."""
    profile = access.profile_of(db.session(), name)
    if profile is None:
        raise NotFound(f"there are no credentials for '{name[:120]}'")
    return _credentials(profile)


@operation(
    "PUT",
    "/images/{name}/credentials",
    tag="runs",
    scope=Scope.ADMIN,
    body=CredentialsBody,
    answers={200: CredentialsAnswer},
    problems=[404],
)
def keep_credentials(name: str, body: CredentialsBody) -> CredentialsAnswer:
    """Keep what lets the server into machines with an image, in place of what was there.

    For images without cloud-init. The machines stay as they are: no key is put onto them, and none taken off.
    """
    with writing() as session:
        return _credentials(
            access.keep_profile(
                session,
                name,
                user=body.user,
                port=body.port,
                key=body.key,
                password=body.password,
                host_key=body.host_key,
                vault=vault(),
                by=auth.actor(),
                now=clock.now(),
            )
        )


@operation(
    "DELETE",
    "/images/{name}/credentials",
    tag="runs",
    scope=Scope.ADMIN,
    answers={204: None},
    problems=[404],
)
def remove_credentials(name: str) -> None:
    """Forget what lets the server into machines with an image."""
    with writing() as session:
        access.remove_profile(session, name, by=auth.actor(), now=clock.now())


def _answer(session: Session, run: Run) -> RunAnswer:
    machine = session.get_one(Machine, run.machine_id)
    return RunAnswer.model_validate(_values(run, machine))


def _values(run: Run, machine: Machine) -> dict[str, Any]:
    columns = RunAnswer.model_fields.keys() - {"mac"}
    return {"mac": machine.mac, **{name: getattr(run, name) for name in columns}}


def _credentials(profile: Profile) -> CredentialsAnswer:
    return CredentialsAnswer(
        image=profile.image,
        user=profile.user,
        port=profile.port,
        has_key=profile.key is not None,
        has_password=profile.password is not None,
        host_key=profile.host_key,
        changed_at=profile.changed_at,
    )
