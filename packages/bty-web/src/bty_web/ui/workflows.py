"""Workflows of CIJOE: list, upload, remove; and what one left on the page of an attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flask import flash, redirect, render_template, request, send_file, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from bty_core.errors import BtyError
from bty_core.provisioning import bundles
from bty_core.wire.fields import InvalidField
from bty_web.errors import Conflict, NotFound
from bty_web.extensions import db, writing
from bty_web.models import Attempt, Machine, Run, Workflow
from bty_web.problems import status_of
from bty_web.security import limited, login_required, person, settings
from bty_web.services import run_reports, runs, workflows
from bty_web.services.clock import now
from bty_web.ui.blueprint import bp
from bty_web.ui.machine import attempt_of, find

# The page that cijoe makes has styles and scripts of its own: it may run none, and ask for nothing.
_ALONE = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowsPage:
    """What the list shows; `wanted` and `error` are of an upload that was refused."""

    newest: Sequence[Workflow]
    wanted: Mapping[str, str]
    error: BtyError | None = None

    @property
    def field(self) -> str:
        """The field that is wrong, if one is."""
        return self.error.field if isinstance(self.error, InvalidField) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowPage:
    """One workflow: its versions, the machines that are assigned it, and what became of it lately."""

    name: str
    versions: Sequence[Workflow]
    machines: Sequence[Machine]
    attempts: Sequence[tuple[Attempt, Machine]]  # it was given to, or whose run followed
    runs: Mapping[int, Run]  # by the attempt that they followed


@bp.get("/workflows", endpoint="workflows")
@login_required
def list_workflows() -> str:
    """List workflows."""
    return _drawn()


@bp.post("/workflows")
@login_required
@limited(bundles.MOST_PACKED + 64 * 1024)
def workflow_add() -> Response | tuple[str, int]:
    """Take a version of a workflow from a form."""
    form, sent = request.form, request.files.getlist("archive")
    given = {name: form.get(name, "").strip() or None for name in ("task", "config")}
    try:
        checked = workflows.check(_archive(sent), **given)
        with writing() as session:
            made = workflows.add(
                session,
                settings().state_dir,
                form.get("name", "").strip(),
                checked,
                by=person(),
                now=now(),
            )
    except BtyError as error:
        return _drawn(error), status_of(error)
    flash(f"Version {made.version} of {made.name} is kept.", "ok")
    return redirect(url_for("ui.workflow", name=made.name))


@bp.get("/workflows/<name>")
@login_required
def workflow(name: str) -> str:
    """Show one workflow."""
    session = db.session()
    mine = Machine.workflow.startswith(f"{name}@", autoescape=True)
    assigned = select(Machine).where((Machine.workflow == name) | mine).order_by(Machine.name)
    query = (
        select(Attempt, Machine)
        .join(Machine, Machine.id == Attempt.machine_id)
        .where(Attempt.workflow.startswith(f"{name}@", autoescape=True))
        .order_by(Attempt.id.desc())
        .limit(50)
    )
    page = WorkflowPage(
        name=name,
        versions=workflows.versions(session, name),
        machines=session.scalars(assigned).all(),
        attempts=[(attempt, machine) for attempt, machine in session.execute(query)],
        runs={run.attempt_id: run for run in runs.newest(session, workflow=name) if run.attempt_id},
    )
    return render_template("workflows/workflow.html", page=page)


@bp.get("/workflows/<name>/<int:version>")
@login_required
def workflow_archive(name: str, version: int) -> Response:
    """Hand a version out, packed."""
    found = workflows.get(db.session(), f"{name}@{version}")
    path = workflows.path_of(settings().state_dir, found.sha256)
    if not path.exists():
        raise NotFound(f"the archive of {name}@{version} is not there")
    return send_file(path, as_attachment=True, download_name=f"{name}-{version}.tar.gz")


@bp.post("/workflows/<name>/remove")
@login_required
def workflow_remove(name: str) -> Response:
    """Remove a workflow with all its versions."""
    try:
        with writing() as session:
            workflows.remove(session, settings().state_dir, name, by=person(), now=now())
    except Conflict as error:
        flash(f"{error.message}; {error.hint}", "error")
        return redirect(url_for("ui.workflow", name=name))
    flash(f"{name} is removed.", "ok")
    return redirect(url_for("ui.workflows"))


@bp.get("/machines/<int:number>/attempts/<int:attempt>/report")
@login_required
def attempt_report(number: int, attempt: int) -> Response:
    """Show what the workflow of an attempt left, as cijoe made it, where it can do nothing."""
    found = _reported(number, attempt)
    return shown_report(run_reports.of_attempt(settings().state_dir, found.id))


@bp.get("/machines/<int:number>/attempts/<int:attempt>/report.tar.gz")
@login_required
def attempt_report_archive(number: int, attempt: int) -> Response:
    """Hand out all that the workflow of an attempt left."""
    found = _reported(number, attempt)
    path = run_reports.of_attempt(settings().state_dir, found.id)
    if not path.exists():
        raise NotFound(f"the report of attempt {attempt} is not there any more")
    return send_file(path, as_attachment=True, download_name=f"attempt-{attempt}-report.tar.gz")


def shown_report(path: Path) -> Response:
    """Answer the page of a report, where it can do nothing."""
    answer = Response(run_reports.page(path), mimetype="text/html")
    answer.headers["Content-Security-Policy"] = _ALONE
    return answer


def _reported(number: int, attempt: int) -> Attempt:
    found = attempt_of(db.session(), find(number), attempt)
    if found.report_at is None:
        raise NotFound(f"attempt {attempt} has no report")
    return found


def _archive(sent: Sequence[object]) -> bytes:
    """Return the archive of a form, or the files of one, packed."""
    files = [one for one in sent if getattr(one, "filename", "")]
    if not files:
        raise InvalidField("archive", "no file was chosen")
    if len(files) == 1 and not str(getattr(files[0], "filename", "")).endswith((".yaml", ".yml")):
        data: bytes = files[0].read()  # type: ignore[attr-defined]
        return data
    return bundles.pack_files(
        {str(one.filename): one.read() for one in files}  # type: ignore[attr-defined]
    )


def _drawn(error: BtyError | None = None) -> str:
    page = WorkflowsPage(newest=workflows.newest(db.session()), wanted=request.form, error=error)
    return render_template("workflows/list.html", page=page)
