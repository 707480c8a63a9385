"""The pages of the catalog: what can be flashed, how it gets there, and where it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from shlex import join
from urllib.parse import quote

from flask import flash, jsonify, redirect, render_template, request, url_for
from sqlalchemy import func, or_, select
from werkzeug.wrappers import Response

from bty_core.errors import BtyError
from bty_core.wire.fields import InvalidField
from bty_web import security
from bty_web.errors import Conflict
from bty_web.extensions import db, writing
from bty_web.jobs import imports, queue
from bty_web.models import Image, Job, Machine
from bty_web.models.words import JobState
from bty_web.problems import problem, status_of
from bty_web.security import login_required, person
from bty_web.services import catalog, scanning
from bty_web.services import uploads as receiving
from bty_web.services.addresses import without_secrets
from bty_web.services.clock import now
from bty_web.services.history import record
from bty_web.settings import Settings
from bty_web.ui import uploads
from bty_web.ui.blueprint import bp

LATELY = timedelta(hours=24)  # how long an import that failed is shown
SHOWN = 20  # machines that are named on the page of one image


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """One image, how many machines are assigned to it, and how far its measuring is."""

    image: Image
    machines: int
    job: Job | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRow:
    """One import, and where it comes from, without what may be secret in the URL."""

    job: Job
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesPage:
    """What the page of the catalog shows."""

    rows: Sequence[ImageRow]
    imports: Sequence[ImportRow]
    room: int | None  # bytes that an upload may have; None where nobody can say
    root: str
    server: str
    error: BtyError | None = None
    wanted: Mapping[str, str] | None = None  # what a form said that was refused
    form: str = ""  # which one

    @property
    def field(self) -> str:
        """The field that is wrong, if one is."""
        return self.error.field if isinstance(self.error, InvalidField) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePage:
    """What the page of one image shows."""

    image: Image
    job: Job | None
    machines: Sequence[Machine]  # the first ones
    total: int  # of the machines
    curl: str
    server: str
    error: BtyError | None = None


@bp.get("/images")
@login_required
def images() -> str:
    """List the catalog."""
    return render_template("images/list.html", page=_page())


@bp.get("/images/list")
@login_required
def images_list() -> str:
    """Show the catalog and the imports alone, for a page that follows them."""
    return render_template("images/_list.html", page=_page())


@bp.get("/image/<name>")
@login_required
def image(name: str) -> str:
    """Show one image."""
    return render_template("images/image.html", page=_image_page(catalog.get(db.session(), name)))


@bp.post("/image/<name>")
@login_required
def image_describe(name: str) -> Response:
    """Keep a description."""
    root = security.settings().image_root
    text = request.form.get("description", "")
    with writing() as session:
        catalog.describe(session, root, name, text, by=person(), now=now())
    flash("The description is kept.", "ok")
    return redirect(url_for("ui.image", name=name))


@bp.get("/image/<name>/delete")
@login_required
def image_ask_delete(name: str) -> str:
    """Ask before an image is deleted, and say which machines want it."""
    return render_template("images/delete.html", page=_image_page(catalog.get(db.session(), name)))


@bp.post("/image/<name>/delete")
@login_required
def image_delete(name: str) -> Response | tuple[str, int]:
    """Delete an image; refused while an attempt uses it."""
    root = security.settings().image_root
    try:
        with writing() as session:
            catalog.remove(session, root, name, by=person(), now=now())
    except Conflict as error:
        page = _image_page(catalog.get(db.session(), name), error=error)
        return render_template("images/delete.html", page=page), status_of(error)
    flash(f"{name} is deleted.", "ok")
    return redirect(url_for("ui.images"))


@bp.post("/images/import")
@login_required
def image_import() -> Response | tuple[str, int]:
    """Have an image fetched from a URL."""
    wanted = {name: request.form.get(name, "").strip() for name in ("url", "name", "sha256")}
    try:
        with writing() as session:
            job = imports.ask(
                session,
                wanted["url"],
                name=wanted["name"] or None,
                sha256=wanted["sha256"] or None,
                by=person(),
                now=now(),
            )
            number = job.id
    except BtyError as error:
        page = _page(error=error, wanted=wanted, form="import")
        return render_template("images/list.html", page=page), status_of(error)
    queue.enqueue(security.process_settings(), [number])
    return redirect(url_for("ui.images", _anchor="imports"))


@bp.post("/images/upload")
@uploads.streamed
@login_required
def image_upload() -> Response | tuple[str, int]:
    """Take an image from a form."""
    try:
        form = uploads.form_upload()
        name = form.filename
        if not name:
            raise InvalidField("file", "no file was chosen")
        _receive(name, form, None, form.fields)
    except BtyError as error:
        page = _page(error=error, form="upload")
        return render_template("images/list.html", page=page), status_of(error)
    flash(f"{name} is uploaded; it is being measured now.", "ok")
    return redirect(url_for("ui.images"))


@bp.put("/images/upload/<name>")
@uploads.streamed
@login_required
def image_put(name: str) -> Response | tuple[Response, int]:
    """Take an image from the page's script, which shows how far it is."""
    uploads.checked(request.headers.get(uploads.HEADER, ""))
    try:
        _receive(name, uploads.body(), request.content_length, request.args)
    except BtyError as error:
        status = status_of(error)
        return jsonify(problem(status, error.code, error.message, error.hint)), status
    return jsonify(name=name)


@bp.post("/images/jobs/<int:number>/cancel")
@login_required
def image_import_cancel(number: int) -> Response:
    """Stop an import that is under way."""
    with writing() as session:
        imports.stop(session, number, by=person(), now=now())
    flash("The import is being stopped.", "ok")
    return redirect(url_for("ui.images"))


def _receive(
    name: str, stream: uploads.Source, length: int | None, options: Mapping[str, str]
) -> None:
    in_force = security.settings()
    replace = options.get("replace") == "yes"
    if replace:
        with writing() as session:  # before all of it comes
            catalog.insist_unused(session, name)
    receiving.receive(
        in_force,
        name,
        stream,
        length=length,
        sha256=options.get("sha256", "").strip() or None,
        replace=replace,
        replacing=catalog.replacing(writing, name),
    )
    with writing() as session:
        record(
            session, "image.uploaded", f"{name} was uploaded", by=person(), now=now(), subject=name
        )
        numbers = scanning.adopt(session, in_force.image_root, name, now())
    queue.enqueue(security.process_settings(), numbers)


def _page(
    *, error: BtyError | None = None, wanted: Mapping[str, str] | None = None, form: str = ""
) -> ImagesPage:
    in_force = security.settings()
    used = _counts()
    measuring = _measuring()
    found = db.session.scalars(select(Image).order_by(func.lower(Image.name))).all()
    return ImagesPage(
        rows=[
            ImageRow(image=one, machines=used.get(one.name, 0), job=measuring.get(one.name))
            for one in found
        ],
        imports=_imports(),
        room=_room(in_force),
        root=str(in_force.image_root),
        server=security.machine_url(),
        error=error,
        wanted=wanted,
        form=form,
    )


def _image_page(found: Image, *, error: BtyError | None = None) -> ImagePage:
    mine = select(Machine).where(Machine.image == found.name)
    total = db.session.scalar(select(func.count()).select_from(mine.subquery())) or 0
    server = security.machine_url()
    return ImagePage(
        image=found,
        job=_measuring().get(found.name),
        machines=db.session.scalars(
            mine.order_by(func.coalesce(Machine.name, Machine.mac)).limit(SHOWN)
        ).all(),
        total=total,
        curl=join(["curl", "--fail", "-o", found.name, f"{server}/images/{quote(found.name)}"]),
        server=server,
        error=error,
    )


def _counts() -> dict[str, int]:
    query = (
        select(Machine.image, func.count())
        .where(Machine.image.is_not(None))
        .group_by(Machine.image)
    )
    return {row[0] or "": row[1] for row in db.session.execute(query)}


def _measuring() -> dict[str, Job]:
    query = select(Job).where(Job.kind == "measure", Job.state.in_(imports.OPEN)).order_by(Job.id)
    return {job.subject: job for job in db.session.scalars(query)}


def _imports() -> list[ImportRow]:
    """Return the imports that are under way, and those that failed lately."""
    failed = (Job.state == JobState.FAILED) & (Job.ended_at > now() - LATELY)
    query = select(Job).where(Job.kind == "import", or_(Job.state.in_(imports.OPEN), failed))
    found = db.session.scalars(query.order_by(Job.id.desc()).limit(SHOWN))
    return [
        ImportRow(job=job, source=without_secrets(str(job.arguments.get("url", ""))))
        for job in found
    ]


def _room(in_force: Settings) -> int | None:
    try:
        return receiving.free_bytes(in_force)
    except OSError:
        return None
