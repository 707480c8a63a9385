"""Files over HTTP: the catalog with its images, and what machines boot. Whole or in part, sent by the kernel."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

from flask import Blueprint, Response, jsonify, request
from sqlalchemy import select
from werkzeug.exceptions import PreconditionFailed
from werkzeug.http import http_date, is_resource_modified, parse_date, quote_etag, unquote_etag
from werkzeug.wsgi import wrap_file

from bty_web.errors import Conflict, NotFound
from bty_web.extensions import db
from bty_web.models import Image
from bty_web.models.words import ImageState
from bty_web.security import base_url, client_address, process_settings
from bty_web.services import attempts, catalog, contacts
from bty_web.services.served_files import ServedFile, open_below

bp = Blueprint("files", __name__)


@bp.get("/images")
def images() -> Response:
    """The catalog: what machines may be flashed with."""
    where = base_url()
    return jsonify([contacts.offer(one, where).wire() for one in catalog.offered(db.session())])


@bp.get("/images/<name>")
def image(name: str) -> Response:
    """The bytes of an image, as they are stored."""
    file = open_below(process_settings().image_root, [name])
    try:
        columns = (Image.stamp, Image.sha256, Image.state, Image.message, Image.hint)
        row = db.session.execute(select(*columns).where(Image.name == name)).first()
        if row is None:
            raise NotFound(
                f"there is no image '{name[:255]}'", hint="GET /images lists what there is"
            )
        if row.state is ImageState.BROKEN and row.stamp == file.stamp:
            _keep_from_machines(name, row.message, row.hint)
    except BaseException:
        file.close()
        raise
    finally:
        db.session.remove()  # a download may take hours, and needs no database
    measured = row.sha256 if row.stamp == file.stamp else None
    return send(file, measured)


def _keep_from_machines(name: str, message: str | None, hint: str | None) -> None:
    """Refuse a broken image to whoever might flash it; a person may still look at what is wrong with it."""
    if attempts.comes_from(db.session(), client_address()):
        raise Conflict(f"the image {name} cannot be used: {message}", hint=hint)


@bp.get("/boot/<path:path>")
def boot(path: str) -> Response:
    """Kernel, initrd and root image of a version, and the iPXE programs."""
    settings = process_settings()
    parts = path.split("/")
    try:
        file = open_below(settings.boot_dir, parts)
    except NotFound:
        if len(parts) != 1:
            raise
        file = open_below(settings.tftp_root, parts)
    return send(file)


def send(file: ServedFile, digest: str | None = None) -> Response:
    """Answer with `file`, or with the part that is asked for; `digest` names its content where it is known."""
    tag = quote_etag(digest or sha256(file.stamp.encode()).hexdigest()[:32])
    size = file.state.st_size
    modified = datetime.fromtimestamp(int(file.state.st_mtime), UTC)
    headers = {
        "ETag": tag,
        "Last-Modified": http_date(modified),
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache",
    }
    if not _still_wanted(tag, modified):
        file.close()
        raise PreconditionFailed("the file is another one by now")
    # Werkzeug would say "not modified" to whoever wants another version than this.
    asked = {name: value for name, value in request.environ.items() if name != "HTTP_IF_MATCH"}
    if not is_resource_modified(asked, tag, None, modified):
        file.close()
        return Response(status=304, headers=headers)
    status, first, end = 200, 0, size
    wanted = request.range if _same_version(tag, modified) else None
    if wanted is not None and wanted.units == "bytes" and len(wanted.ranges) == 1:
        part = _part(*wanted.ranges[0], size)
        if part is None:
            file.close()
            headers["Content-Range"] = f"bytes */{size}"
            return Response(status=416, headers=headers)
        status, (first, end) = 206, part
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - first)
    if request.method == "HEAD":
        file.close()
        return Response(status=status, headers=headers, mimetype="application/octet-stream")
    file.seek(first)
    file.end = end
    # gunicorn hands such a wrapper to sendfile(2): from where the file stands, Content-Length bytes.
    body = wrap_file(request.environ, file, 1 << 20)
    return Response(
        body,
        status,
        headers,
        mimetype="application/octet-stream",
        direct_passthrough=True,
    )


def _part(first: int, end: int | None, size: int) -> tuple[int, int] | None:
    """Return the bytes that a range means, or None where the file has none of them."""
    if first < 0:  # the last so many; more than there are is all
        first, end = max(0, size + first), size
    return (first, min(size if end is None else end, size)) if first < size else None


def _still_wanted(tag: str, modified: datetime) -> bool:
    """Whether the client wants what is here: If-Match, or a time after which nothing may have changed."""
    if "If-Match" in request.headers:
        return request.if_match.contains(unquote_etag(tag)[0] or "")
    since = request.if_unmodified_since
    return since is None or modified <= since


def _same_version(tag: str, modified: datetime) -> bool:
    """Whether the client's If-Range, if there is any, means this very content."""
    text = request.headers.get("If-Range")
    if text is None:
        return True
    return text == tag or (not text.startswith(('"', "W/")) and parse_date(text) == modified)
