"""What the live environment says and asks: JSON below ``/pxe/{mac}/``. Each POST shows its attempt's token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, jsonify, request
from sqlalchemy.orm import Session
from werkzeug.exceptions import BadRequest

from bty_core.values import MacAddress
from bty_core.wire.fields import Fields, InvalidField
from bty_core.wire.reports import (
    DoneReport,
    FailedReport,
    InventoryReport,
    Opened,
    OpenRequest,
    ProgressReport,
)
from bty_web.errors import NotAllowed, NotFound
from bty_web.extensions import db, writing
from bty_web.jobs import queue
from bty_web.models import Attempt, Machine
from bty_web.models.words import Policy
from bty_web.pxe.views import seen
from bty_web.security import (
    base_url,
    client_address,
    key,
    limited,
    process_settings,
    settings,
    vault,
)
from bty_web.services import (
    access,
    attempts,
    clock,
    contacts,
    keys,
    machines,
    provisioning,
    reports,
    run_reports,
    workflows,
)
from bty_web.services.history import Actor

bp = Blueprint("agent", __name__, url_prefix="/pxe/<text>")

SMALL = 16 * 1024
LARGE = 512 * 1024


@bp.get("/plan")
def plan(text: str) -> Response:
    """What the live environment should do; with the attempt's token, what only that may know."""
    mac = MacAddress.parse(text)
    grace = timedelta(seconds=settings().local_boot_grace)
    where = base_url()
    if _token() is None:
        return jsonify(_open_plan(db.session(), mac, where, grace))
    with writing() as session:
        machine, attempt = _authenticated(session, mac)
        found = contacts.plan(
            session,
            machine,
            attempt,
            base_url=where,
            grace=grace,
            now=clock.now(),
            vault=vault(),
        )
    return jsonify(found.wire())


def _open_plan(session: Session, mac: MacAddress, where: str, grace: timedelta) -> dict[str, Any]:
    machine = machines.get(session, mac)
    found = contacts.plan(session, machine, None, base_url=where, grace=grace, now=clock.now())
    return found.wire()


@bp.post("/attempts")
@limited(SMALL)
def open_attempt(text: str) -> tuple[Response, int]:
    """Open an interactive attempt for a wizard that was started by hand."""
    mac = MacAddress.parse(text)
    asked = OpenRequest.from_wire(_json() if request.get_data() else {})
    policy = Policy(settings().default_policy)
    now = clock.now()
    with writing() as session:
        machine = machines.discover(session, mac, seen(), policy=policy, now=now)
        attempt = attempts.open_by_hand(
            session, machine, address=client_address(), console=asked.console, now=now
        )
        token = keys.attempt_token(key(), attempt.id, attempt.nonce)
    return jsonify(Opened(attempt=attempt.id, token=token).wire()), 201


@bp.post("/inventory")
@limited(LARGE)
def inventory(text: str) -> Response:
    """Keep what the machine says it has."""
    with _report(text) as (session, machine, attempt, message):
        report = InventoryReport.from_wire(message)
        by = Actor("machine", attempt.client)
        machines.take_inventory(session, machine, report, by=by, now=clock.now())
    return jsonify(status="ok")


@bp.post("/progress")
@limited(SMALL)
def progress(text: str) -> Response:
    """Take a sign of life; say whether to go on."""
    limit = settings().flash_limit
    with _report(text) as (session, machine, attempt, message):
        report = ProgressReport.from_wire(message)
        answer = reports.progress(
            session, machine, attempt, report, flash_limit=limit, now=clock.now()
        )
    return jsonify(answer.wire())


@bp.post("/done")
@limited(SMALL)
def done(text: str) -> Response:
    """End the attempt well."""
    with _report(text) as (session, machine, attempt, message):
        report = DoneReport.from_wire(message)
        job = reports.done(session, machine, attempt, report, clock.now())
    if job is not None:
        queue.enqueue(process_settings(), [job])
    return jsonify(status="ok")


@bp.post("/up/<secret>")
@limited(SMALL)
def up(text: str, secret: str) -> Response:
    """Note from where a machine says that its own system is up, as its cloud-init was told to."""
    mac = MacAddress.parse(text)
    with writing() as session:
        machine = machines.find(session, mac)
        if machine is None or not access.says_up(session, machine, secret, client_address()):
            raise NotFound("nobody is waited for here")
    return jsonify(status="ok")


@bp.post("/provisioning")
@limited(SMALL)
def give_provisioning(text: str) -> Response:
    """Give a wizard what its person has chosen to set up: what this machine is assigned."""
    where = base_url()
    with _report(text) as (session, machine, attempt, _):
        if attempt.state.over:
            raise attempts.ended(attempt)
        found = provisioning.for_attempt(session, machine, attempt, vault(), where, clock.now())
    return jsonify(found.wire())


@bp.get("/workflow")
def workflow(text: str) -> Response:
    """Give out the workflow of the attempt, packed."""
    mac = MacAddress.parse(text)
    with writing() as session:
        _, attempt = _authenticated(session, mac)
        if attempt.workflow is None:
            raise NotFound(f"attempt {attempt.id} has no workflow")
        found = workflows.get(session, attempt.workflow)
        path = workflows.path_of(settings().state_dir, found.sha256)
    try:
        return Response(path.read_bytes(), mimetype="application/gzip")
    except OSError as error:
        raise NotFound(
            f"the archive of {attempt.workflow} is not there: {error.strerror}"
        ) from error


@bp.post("/report")
@limited(run_reports.MOST)
def report(text: str) -> Response:
    """Keep the report of the attempt's workflow: a tar.gz."""
    mac = MacAddress.parse(text)
    with writing() as session:  # before anybody's megabytes are read
        _authenticated(session, mac)
    data = run_reports.checked(request.get_data())
    with writing() as session:
        machine, attempt = _authenticated(session, mac)
        if attempt.workflow is None:
            raise NotFound(f"attempt {attempt.id} has no workflow")
        where = settings().state_dir
        run_reports.keep(session, where, machine, attempt, data, clock.now())
    return jsonify(status="ok")


@bp.post("/failed")
@limited(LARGE)
def failed(text: str) -> Response:
    """End the attempt badly."""
    with _report(text) as (session, machine, attempt, message):
        reports.failed(session, machine, attempt, FailedReport.from_wire(message), clock.now())
    return jsonify(status="ok")


@bp.post("/policy")
@limited(SMALL)
def policy(text: str) -> Response:
    """Let a machine that a person has just flashed boot its own disk from now on."""
    with _report(text) as (session, machine, attempt, message):
        if Fields(message).choice("boot_policy", Policy) is not Policy.LOCAL:
            raise InvalidField("boot_policy", "a machine may set its own policy to local only")
        attempts.set_local(session, machine, attempt, clock.now())
    return jsonify(status="ok", boot_policy=Policy.LOCAL.value)


@contextmanager
def _report(text: str) -> Iterator[tuple[Session, Machine, Attempt, dict[str, Any]]]:
    """One unit of work for a message of a machine: who it is, the attempt that its token proves, what it says."""
    mac, message = MacAddress.parse(text), _message()
    with writing() as session:
        machine, attempt = _authenticated(session, mac)
        yield session, machine, attempt, message


def _token() -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip()[:200] if scheme.lower() == "bearer" and token.strip() else None


def _no_token() -> NotAllowed:
    return NotAllowed(
        "this needs the token of an attempt of this machine",
        hint="send it as 'Authorization: Bearer TOKEN'; it stands on the kernel command line",
    )


def _authenticated(session: Session, mac: MacAddress) -> tuple[Machine, Attempt]:
    token = _token()
    machine = machines.find(session, mac, lock=True)
    if token is None or machine is None:
        raise _no_token()
    attempt = attempts.bearer(
        session, machine, token, key=key(), address=client_address(), now=clock.now()
    )
    return machine, attempt


def _message() -> dict[str, Any]:
    if _token() is None:  # before the body is looked at: who has no token learns nothing
        raise _no_token()
    return _json()


def _json() -> dict[str, Any]:
    try:
        message = request.get_json(force=True)
    except BadRequest as error:
        raise InvalidField("", "the body is not valid JSON") from error
    except RecursionError as error:
        raise InvalidField("", "the body is nested too deeply") from error
    if not isinstance(message, dict):
        raise InvalidField("", "the body must be a JSON object")
    return message
