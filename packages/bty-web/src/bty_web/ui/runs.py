"""Runs of the server on machines: one run with its live log, and what is known good of a machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import flash, jsonify, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response

from bty_core.errors import BtyError
from bty_core.wire.fields import InvalidField
from bty_web.errors import Conflict, NotFound
from bty_web.extensions import db, writing
from bty_web.jobs import queue
from bty_web.models import Image, Machine, Profile, Run
from bty_web.online.log import tail
from bty_web.problems import status_of
from bty_web.security import login_required, person, process_settings, settings, vault
from bty_web.services import access, catalog, run_reports, runs
from bty_web.services.clock import now
from bty_web.ui.blueprint import bp
from bty_web.ui.known import known_of
from bty_web.ui.machine import find
from bty_web.ui.workflows import shown_report


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialsPage:
    """What lets the server into machines with an image; `wanted` and `error` are of a form that was refused."""

    image: Image
    profile: Profile | None
    wanted: Mapping[str, str]
    error: BtyError | None = None

    @property
    def field(self) -> str:
        """The field that is wrong, if one is."""
        return self.error.field if isinstance(self.error, InvalidField) else ""

    def value(self, name: str) -> Any:
        """Return what a field of the form shows."""
        kept = getattr(self.profile, name) if self.profile else {"port": 22}.get(name)
        return self.wanted.get(name, kept or "")


@bp.get("/runs/<int:number>")
@login_required
def run(number: int) -> str:
    """Show one run."""
    return render_template("runs/run.html", **_shown(number))


@bp.get("/runs/<int:number>/now")
@login_required
def run_now(number: int) -> str:
    """Show what changes of a run, for a page that follows it."""
    return render_template("runs/_run.html", **_shown(number))


@bp.post("/runs/<int:number>/cancel")
@login_required
def run_cancel(number: int) -> Response:
    """Let a run stop."""
    try:
        with writing() as session:
            runs.cancel(session, runs.get(session, number, lock=True), by=person(), now=now())
    except Conflict as error:
        flash(error.message, "error")
    else:
        flash("It stops, and its key is taken off the machine.", "ok")
    return redirect(url_for("ui.run", number=number))


@bp.get("/runs/<int:number>/report")
@login_required
def run_report(number: int) -> Response:
    """Show what the workflow of a run left, as cijoe made it, where it can do nothing."""
    return shown_report(run_reports.of_run(settings().state_dir, _reported(number).id))


@bp.get("/runs/<int:number>/report.tar.gz")
@login_required
def run_report_archive(number: int) -> Response:
    """Hand out all that the workflow of a run left."""
    path = run_reports.of_run(settings().state_dir, _reported(number).id)
    if not path.exists():
        raise NotFound(f"the report of run {number} is not there any more")
    return send_file(path, as_attachment=True, download_name=f"run-{number}-report.tar.gz")


@bp.get("/runs/<int:number>/facts.json")
@login_required
def run_facts(number: int) -> Response:
    """Hand out the facts of a run as JSON."""
    session = db.session()
    found = runs.get(session, number)
    if found.facts is None:
        raise NotFound(f"run {number} has no facts")
    answer: Response = jsonify(runs.export(found, session.get_one(Machine, found.machine_id)))
    answer.headers["Content-Disposition"] = f"attachment; filename=run-{number}-facts.json"
    return answer


@bp.get("/machines/<int:number>/known")
@login_required
def machine_known(number: int) -> str:
    """Show what is known good of a machine, for a page that follows it."""
    return render_template("machine/_known.html", known=known_of(find(number)))


@bp.post("/machines/<int:number>/check")
@login_required
def machine_check(number: int) -> Response:
    """Collect the facts of a machine again."""
    job = None
    try:
        with writing() as session:
            made = runs.check_now(session, find(number, session), by=person(), now=now())
            job = made.job_id
    except Conflict as error:
        flash(f"{error.message}; {error.hint}", "error")
    if job is not None:
        queue.enqueue(process_settings(), [job])
        flash("The machine is asked for its facts.", "ok")
    return redirect(url_for("ui.machine", number=number) + "#known-title")


@bp.get("/image/<name>/credentials")
@login_required
def image_credentials(name: str) -> str:
    """Show what lets the server into machines with an image, without its secrets."""
    return render_template("images/credentials.html", page=_credentials(name))


@bp.post("/image/<name>/credentials")
@login_required
def image_credentials_keep(name: str) -> Response | tuple[str, int]:
    """Keep what lets the server into machines with an image."""
    form = request.form
    texts = {one: form.get(one, "") for one in ("key", "password", "host_key")}
    try:
        port = form.get("port", "").strip() or "22"
        if not port.isdecimal() or len(port) > 5:
            raise InvalidField("port", "a port is a number from 1 to 65535")
        with writing() as session:
            access.keep_profile(
                session,
                name,
                user=form.get("user", "").strip(),
                port=int(port),
                **texts,
                vault=vault(),
                by=person(),
                now=now(),
            )
    except InvalidField as error:
        page = _credentials(name, error)
        return render_template("images/credentials.html", page=page), status_of(error)
    flash("The credentials are kept, encrypted.", "ok")
    return redirect(url_for("ui.image", name=name))


@bp.post("/image/<name>/credentials/remove")
@login_required
def image_credentials_remove(name: str) -> Response:
    """Forget what lets the server into machines with an image."""
    with writing() as session:
        access.remove_profile(session, name, by=person(), now=now())
    flash("The credentials are removed.", "ok")
    return redirect(url_for("ui.image", name=name))


def _shown(number: int) -> dict[str, Any]:
    session = db.session()
    found = runs.get(session, number)
    machine = session.get_one(Machine, found.machine_id)
    return {"run": found, "machine": machine, "log": tail(settings().state_dir, found.id)}


def _reported(number: int) -> Run:
    found = runs.get(db.session(), number)
    if found.report_at is None:
        raise NotFound(f"run {number} has no report")
    return found


def _credentials(name: str, error: BtyError | None = None) -> CredentialsPage:
    session = db.session()
    return CredentialsPage(
        image=catalog.get(session, name),
        profile=access.profile_of(session, name),
        wanted=request.form,
        error=error,
    )
