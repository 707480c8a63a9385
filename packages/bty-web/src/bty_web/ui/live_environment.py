"""The page of the live environment: what machines boot, and the iPXE programs that fetch it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import flash, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from bty_core.errors import BtyError
from bty_core.values import size_text
from bty_core.wire.fields import InvalidField
from bty_web import security
from bty_web.dhcp import programs
from bty_web.dhcp.programs import PACKAGE, PROGRAMS, Present, Program
from bty_web.errors import BrokenSetting
from bty_web.extensions import writing
from bty_web.problems import problem, status_of
from bty_web.security import login_required, person
from bty_web.services import live, live_check, live_install
from bty_web.services.clock import now
from bty_web.services.history import record
from bty_web.services.live import Manifest
from bty_web.services.live_check import FileCheck
from bty_web.ui import uploads
from bty_web.ui.blueprint import bp


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramRow:
    """One program that firmware asks for, and what is there under its name."""

    program: Program
    present: Present | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePage:
    """What the page of the live environment shows; `fault` is why the manifest cannot be used."""

    manifest: Manifest | None
    fault: BrokenSetting | None
    files: Sequence[FileCheck]
    checked: bool  # whether the digests were compared just now
    earlier: Sequence[Manifest]
    programs: Sequence[ProgramRow]
    boot_dir: str
    tftp_root: str
    server: str
    package: str = PACKAGE
    error: BtyError | None = None

    @property
    def broken(self) -> bool:
        """Whether a file is not what the manifest says."""
        return any(one.fault for one in self.files)

    @property
    def missing(self) -> Sequence[Program]:
        """The programs without which some firmware boots nothing."""
        return [row.program for row in self.programs if row.present is None and row.program.needed]


@bp.get("/live", endpoint="live")
@login_required
def live_environment() -> str:
    """Show which live environment is active; with ``?check=1``, whether its bytes are right."""
    return render_template("live/page.html", page=_page(check=request.args.get("check") == "1"))


@bp.post("/live")
@uploads.streamed
@login_required
def live_upload() -> Response | tuple[str, int]:
    """Take a live environment from a form."""
    try:
        installed = _install(uploads.form_upload(), None)
    except BtyError as error:
        return render_template("live/page.html", page=_page(error=error)), status_of(error)
    flash(f"Live environment {installed.version} is active.", "ok")
    return redirect(url_for("ui.live"))


@bp.put("/live")
@uploads.streamed
@login_required
def live_put() -> Response | tuple[Response, int]:
    """Take a live environment from the page's script, which shows how far it is."""
    uploads.checked(request.headers.get(uploads.HEADER, ""))
    try:
        installed = _install(uploads.body(), request.content_length)
    except BtyError as error:
        status = status_of(error)
        return jsonify(problem(status, error.code, error.message, error.hint)), status
    return jsonify(version=installed.version)


@bp.post("/live/activate")
@login_required
def live_activate() -> Response:
    """Let machines get an earlier version again."""
    version = request.form.get("version", "")
    chosen = live_install.activate(security.settings().boot_dir, version)
    _note("live.activated", f"live environment {chosen.version} is active again", chosen.version)
    flash(f"Live environment {chosen.version} is active again.", "ok")
    return redirect(url_for("ui.live"))


@bp.post("/live/programs/install")
@login_required
def live_install_programs() -> Response:
    """Copy what is missing from Debian's package."""
    copied = programs.install(security.settings().tftp_root)
    if copied:
        told = f"iPXE programs were taken from Debian's package: {', '.join(copied)}"
        _note("live.programs", told, "iPXE")
        flash(f"Taken from the package {PACKAGE}: {', '.join(copied)}.", "ok")
    else:
        flash(f"The package {PACKAGE} has nothing that is missing here: install it first.", "error")
    return redirect(url_for("ui.live", _anchor="programs"))


@bp.post("/live/programs")
@uploads.streamed
@login_required
def live_upload_program() -> Response | tuple[str, int]:
    """Take one iPXE program from a form."""
    try:
        form = uploads.form_upload()
        if not form.filename:
            raise InvalidField("file", "no file was chosen")
        placed = programs.place(security.settings().tftp_root, form.fields.get("name", ""), form)
    except BtyError as error:
        return render_template("live/page.html", page=_page(error=error)), status_of(error)
    _note("live.programs", f"{placed.name} was uploaded ({size_text(placed.size)})", placed.name)
    flash(f"{placed.name} is in place.", "ok")
    return redirect(url_for("ui.live", _anchor="programs"))


def _install(stream: uploads.Source, length: int | None) -> Manifest:
    if isinstance(stream, uploads.FormUpload) and not stream.filename:
        raise InvalidField(
            "file", "no file was chosen", hint="choose the tar of a live environment"
        )
    installed = live_install.install_tar(security.settings(), stream, length)
    _note("live.installed", f"live environment {installed.version} is active", installed.version)
    return installed


def _note(kind: str, told: str, subject: str) -> None:
    with writing() as session:
        record(session, kind, told, by=person(), now=now(), subject=subject)


def _page(*, check: bool = False, error: BtyError | None = None) -> LivePage:
    in_force = security.settings()
    manifest, fault = None, None
    try:
        manifest = live.active(in_force.boot_dir)
    except BrokenSetting as broken:
        fault = broken
    look = live_check.check if check else live_check.glance
    present = {one.name: one for one in programs.present(in_force.tftp_root)}
    rows = [ProgramRow(program=one, present=present.get(one.name)) for one in PROGRAMS]
    found = live_install.versions(in_force.boot_dir)
    return LivePage(
        manifest=manifest,
        fault=fault,
        files=look(in_force.boot_dir, manifest) if manifest else [],
        checked=check and manifest is not None,
        earlier=[one for one in found if manifest is None or one.version != manifest.version],
        programs=rows,
        boot_dir=str(in_force.boot_dir),
        tftp_root=str(in_force.tftp_root),
        server=security.machine_url(),
        error=error,
    )
