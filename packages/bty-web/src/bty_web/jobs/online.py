"""The job of one run: wait for the machine, run the workflow against it, collect facts, take access back."""

from __future__ import annotations

import json
import logging
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from bty_core.errors import BtyError, Cancelled
from bty_core.provisioning import bundles
from bty_core.provisioning.cijoe import find_cijoe
from bty_core.provisioning.cijoe_state import Step, failed_steps, last_begun, read_steps
from bty_core.provisioning.errors import WorkflowFailed
from bty_core.wire.fields import InvalidField
from bty_web.database import working
from bty_web.errors import NotFound
from bty_web.jobs.looking import Looking
from bty_web.jobs.task import Task
from bty_web.models import Image, Job, Machine, Run
from bty_web.models.words import RunKind, RunState
from bty_web.online import addresses, collector, log, sandbox
from bty_web.online.closing import close
from bty_web.online.errors import (
    AccessRefused,
    ConnectionBroken,
    NoAnswer,
    WorkerDied,
    WrongHost,
)
from bty_web.online.one_off import OneOffKey
from bty_web.online.ssh import CommandRefused, Way, written
from bty_web.services import access, clock, facts, run_reports, runs, workflows
from bty_web.services.access import Door
from bty_web.services.vault import Vault
from bty_web.settings import Settings

TRANSPORT = "machine"  # how a workflow's scripts may call it; it is the first one in any case
_BETWEEN = 3.0  # seconds between two tries to reach the machine
_LOGIN = 30.0  # seconds for one
_CHECKED = 60.0
_FACTS = 120.0
_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Wanted:
    """What a run is to do, as it was when it began, and where the machine has answered."""

    run: int
    kind: RunKind
    machine: int
    mac: str
    title: str
    attempt: int | None
    image: str | None
    door: Door
    seeded: bool  # the door was made for this attempt, and is to be closed at its end
    task: str | None = None
    config: str | None = None
    archive: Path | None = None
    address: str | None = None
    left: bool = False  # a key that was made for the run still stands on the machine


def run(settings: Settings, engine: Engine, task: Task) -> None:
    """Do the run that the job names. However it ends, its row says so, and no key of it stays.

    A process that is stopped in the middle leaves it as it is: whoever gets the job next goes on waiting, or
    ends what nobody can go on with. Raises what the run failed with.
    """
    number = int(task.arguments["run"])
    folder = log.path_of(settings.state_dir, number).parent
    with working(engine) as session:
        state = runs.get(session, number).state
    if state.over:
        return
    error: BtyError | None = None
    found: facts.Facts | None = None
    wanted: Wanted | None = None
    try:
        wanted = _wanted(settings, engine, number)
        if state is not RunState.WAITING:
            raise WorkerDied(
                "the process that did this run ended in the middle of it",
                hint="flash the machine again",
            )
        found = _do(settings, engine, task, wanted, folder)
    except Cancelled as stopped:
        if not _cancelled(engine, task):
            raise
        error = stopped
    except BtyError as failure:
        error = failure
    except OSError as failure:
        error = BtyError(f"the run cannot be done in {folder}: {failure.strerror}")
    except Exception as bug:  # noqa: BLE001 - its keys must go, whatever it was
        _log.exception("run %s", number)
        error = BtyError(f"something unforeseen: {bug}", hint="the server's log says more")
    _end(settings, engine, wanted, number, folder, error, found)
    if error is not None:
        raise error


def _do(
    settings: Settings, engine: Engine, task: Task, wanted: Wanted, folder: Path
) -> facts.Facts:
    """Return the facts of the machine, after its workflow where it has one."""
    (folder / "ssh").mkdir(parents=True, exist_ok=True, mode=0o700)
    way = _reached(settings, engine, task, wanted, folder / "ssh")
    if wanted.kind is RunKind.WORKFLOW:
        _work(settings, engine, task, wanted, way, folder)
    _say(engine, wanted.run, RunState.CLOSING, "collects the facts of the machine")
    return facts.parse(
        way.run("sh -s", stdin=collector.program().encode(), timeout=_FACTS, stop=task.stop)
    )


def _end(
    settings: Settings,
    engine: Engine,
    wanted: Wanted | None,
    number: int,
    folder: Path,
    error: BtyError | None,
    found: facts.Facts | None,
) -> None:
    left = wanted is not None and wanted.left
    try:
        if wanted is not None and wanted.seeded:
            left = _take_back(settings, engine, wanted, folder)
        if wanted is not None:
            _keep_report(settings, engine, wanted, folder)
    finally:  # also where the machine was removed meanwhile
        log.clear(settings.state_dir, number)
    with working(engine) as session:
        runs.end(
            session,
            number,
            clock.now(),
            error=error,
            found=found,
            access_left=left,
        )


def _wanted(settings: Settings, engine: Engine, number: int) -> Wanted:
    vault = Vault(settings.state_dir)
    with working(engine) as session:
        row = runs.get(session, number)
        machine = session.get_one(Machine, row.machine_id)
        door, seeded = _door(session, row, machine, vault)
        task = config = archive = None
        if row.kind is RunKind.WORKFLOW:
            workflow = workflows.find(session, row.workflow)
            if workflow is None:
                raise NotFound(f"the workflow {row.workflow} is no longer there")
            row.workflow_sha256 = workflow.sha256
            task, config = workflow.task, workflow.config
            archive = workflows.path_of(settings.state_dir, workflow.sha256)
        if row.image_sha256 is None and row.image:
            row.image_sha256 = session.scalar(select(Image.sha256).where(Image.name == row.image))
        return Wanted(
            run=row.id,
            kind=row.kind,
            machine=machine.id,
            mac=machine.mac,
            title=machine.title,
            attempt=row.attempt_id,
            image=row.image,
            door=door,
            seeded=seeded,
            task=task,
            config=config,
            archive=archive,
            address=row.address,
        )


def _door(session: Session, row: Run, machine: Machine, vault: Vault) -> tuple[Door, bool]:
    """Return the way in, and whether it was made for the attempt of this run."""
    if row.kind is RunKind.CHECK:
        made = access.for_facts(session, machine, vault)
    else:
        made = access.of_attempt(session, row.attempt_id or 0, vault)
    if made is not None:
        return made, row.kind is RunKind.WORKFLOW
    profile = access.profile_of(session, row.image)
    if profile is None:
        raise AccessRefused(
            f"there is no key for {machine.title}",
            hint="flash it again, or keep credentials for its image",
        )
    return access.by_profile(profile, vault), False


def _reached(settings: Settings, engine: Engine, task: Task, wanted: Wanted, folder: Path) -> Way:
    """Return the way to the machine, as soon as it lets the server in.

    Raises what was wrong last when patience ends, or `Cancelled`.
    """
    began = monotonic()
    patience = float(settings.online_patience)
    if wanted.kind is RunKind.CHECK:  # it has started long ago
        patience = min(patience, _CHECKED)
    error: BtyError = NoAnswer(f"{wanted.title} has no address yet")
    while True:
        with working(engine) as session:
            machine = session.get_one(Machine, wanted.machine)
            traces = addresses.traces(session, machine, wanted.attempt)
        proven = wanted.door.host_key is not None
        for place in addresses.likeliest(traces, proven=proven):
            way = Way(folder, wanted.door, place)
            try:
                with suppress(CommandRefused):  # it lets in, and wants nothing but its own
                    way.run("true", timeout=_LOGIN, stop=task.stop)
            except (NoAnswer, WrongHost, AccessRefused, ConnectionBroken) as failure:
                # What says most comes last: a wrong machine at one address hides no silence at another.
                if not (isinstance(error, WrongHost) and isinstance(failure, NoAnswer)):
                    error = failure
            else:
                return _found(engine, task, wanted, way)
        waited = monotonic() - began
        if waited > patience:
            raise type(error)(
                f"{error.message}; it was waited for {patience:.0f} s",
                hint=error.hint or "look at its console; Settings has the time that is waited",
            )
        told = f"waits for SSH: {error.message} ({waited:.0f} s of {patience:.0f} s)"
        _say(engine, wanted.run, RunState.WAITING, told)
        if task.stop.wait(_BETWEEN):
            raise Cancelled("the run was stopped")


def _found(engine: Engine, task: Task, wanted: Wanted, way: Way) -> Way:
    if task.stop.is_set():  # and ssh was ended with us
        raise Cancelled("the run was stopped")
    with working(engine) as session:
        runs.answered(session, wanted.run, way.address, clock.now())
    wanted.address = way.address
    return way


def _work(
    settings: Settings, engine: Engine, task: Task, wanted: Wanted, way: Way, folder: Path
) -> None:
    """Run the workflow in its fence, with the machine behind a port of the loopback."""
    assert wanted.archive is not None
    assert wanted.task is not None
    sandbox.check()
    inside = folder / "inside"
    shutil.rmtree(inside, ignore_errors=True)
    inside.mkdir(mode=0o700)
    try:
        bundles.unpack(wanted.archive.read_bytes(), inside)
    except (OSError, InvalidField) as failure:
        raise BtyError(f"the workflow cannot be unpacked: {failure}") from failure
    one_off = None if wanted.seeded else OneOffKey(way, folder / "ssh" / "one-off")
    forward = way.forward()
    try:
        forward.wait_open(_LOGIN, task.stop)
        _say(engine, wanted.run, RunState.RUNNING, f"runs {wanted.task}")
        door = one_off.door if one_off else wanted.door
        ours = _configuration(door, forward.port, inside)
        argv: list[str | Path] = [find_cijoe(), wanted.task, "--monitor"]
        argv += ["--output", "output", "--config", ours]
        if wanted.config:
            argv += ["--config", wanted.config, "--config", ours]
        variables = {
            "BTY_MAC": wanted.mac,
            "BTY_MACHINE": wanted.title,
            "BTY_ADDRESS": way.address,
            "BTY_IMAGE": wanted.image or "",
        }
        output, said = inside / "output", log.path_of(settings.state_dir, wanted.run)
        look = Looking(engine, task, wanted.run, forward, inside, said)
        status = sandbox.run(argv, inside, variables, said, look, timeout=settings.online_limit)
        if status != 0:
            # The workflow may hear first that the machine has gone.
            forward.wait_closed(_BETWEEN)
            if not forward.is_open:
                raise forward.broken()
            raise _failed(status, wanted, read_steps(output), settings.online_limit)
    finally:
        forward.close()
        if one_off is not None:
            wanted.left = not _removed(one_off, wanted.run)


def _removed(one_off: OneOffKey, run: int) -> bool:
    try:
        one_off.remove()
    except BtyError as failure:
        _log.warning("run %s: %s", run, failure)
        return False
    return True


def _configuration(door: Door, port: int, inside: Path) -> str:
    """Write what cijoe needs to reach the machine; return the name of the file.

    cijoe keeps it, and shows it in its report.
    """
    lines = [
        "[cijoe.task]",
        "fail_fast = true",
        f"[cijoe.transport.{TRANSPORT}]",
        'hostname = "127.0.0.1"',
        f"port = {port}",
        f"username = {_quoted(door.user)}",
        "look_for_keys = false",
        "allow_agent = false",
    ]
    assert door.key is not None
    written(inside / "bty-key", door.key)
    lines.append(f"key_filename = {_quoted(str(sandbox.HOME / 'bty-key'))}")
    written(inside / "bty.toml", "\n".join(lines) + "\n")
    return "bty.toml"


def _quoted(text: str) -> str:
    """Return a text as TOML has it."""
    return json.dumps(text, ensure_ascii=True)


def _failed(status: int | None, wanted: Wanted, steps: list[Step], limit: int) -> WorkflowFailed:
    if status is None:
        return WorkflowFailed(
            f"the workflow did not end within {limit} s{last_begun(steps)}",
            hint="its log says how far it came; Settings has the time that it may take",
        )
    if failed := failed_steps(steps):
        return WorkflowFailed(f"{failed}, failed", hint="its report says why")
    return WorkflowFailed(
        f"{wanted.task} failed outside its steps, with status {status}",
        hint="the last lines of its log say why",
    )


def _take_back(settings: Settings, engine: Engine, wanted: Wanted, folder: Path) -> bool:
    """Take the key of the attempt off the machine and destroy it; return whether it still stands there."""
    check_key: str | None = None
    left = True
    try:
        if wanted.address is not None:
            with suppress(NotFound):  # the machine was removed meanwhile
                _say(engine, wanted.run, RunState.CLOSING, "takes its key off the machine")
            check_key = close(folder / "ssh", wanted.door, wanted.address, collector.program())
            left = False
    except (BtyError, OSError) as failure:
        _log.warning("run %s: %s", wanted.run, failure)
    finally:
        with working(engine) as session:
            kept = access.destroyed(session, wanted.attempt or 0)
            if kept is not None and check_key is not None:
                kept.check_key = Vault(settings.state_dir).seal(check_key)
    return left


def _keep_report(settings: Settings, engine: Engine, wanted: Wanted, folder: Path) -> None:
    output = folder / "inside" / "output"
    if not output.is_dir() or output.is_symlink():
        return
    with suppress(OSError):
        if run_reports.pack(output, run_reports.of_run(settings.state_dir, wanted.run)):
            with working(engine) as session:
                runs.get(session, wanted.run, lock=True).report_at = clock.now()


def _say(engine: Engine, number: int, state: RunState, told: str) -> None:
    with working(engine) as session:
        runs.move(session, number, state, told)


def _cancelled(engine: Engine, task: Task) -> bool:
    """Whether somebody wanted the run to stop, and not the server itself."""
    with working(engine) as session:
        job = session.get(Job, task.number)
        return job is not None and job.cancel_asked_at is not None
