"""One failure, three dialects: a script for firmware, an RFC 9457 problem for programs, a page for people."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, json, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from bty_core.errors import (
    BtyError,
    ImageCorrupt,
    ImageRefused,
    ImageUnavailable,
    InvalidValue,
    Refused,
)
from bty_core.wire.fields import InvalidField
from bty_web import database
from bty_web.errors import (
    Conflict,
    DatabaseBroken,
    Forbidden,
    InvalidRequest,
    NoRoom,
    NotAllowed,
    NotFound,
    TooMuch,
)
from bty_web.pxe import scripts
from bty_web.settings import Settings

STATUS: dict[type[BtyError], int] = {
    InvalidValue: 422,
    NotAllowed: 401,
    Forbidden: 403,
    NotFound: 404,
    TooMuch: 429,
    Conflict: 409,
    Refused: 409,
    NoRoom: 507,
    ImageRefused: 422,
    ImageCorrupt: 422,
    ImageUnavailable: 502,
    DatabaseBroken: 503,
    BtyError: 500,
}
TYPE = "application/problem+json"
_SCRIPT = re.compile(r"/pxe-bootstrap\.ipxe|/pxe/[^/]*")


def init_app(app: Flask, settings: Settings) -> None:
    """Let every failure of `app` be answered in the words of whoever asked."""
    app.register_error_handler(BtyError, _bty)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(
        SQLAlchemyError, lambda error: _bty(database.broken(settings, error))
    )
    app.register_error_handler(Exception, _bug)


def status_of(error: BtyError) -> int:
    """Return the HTTP status of a failure."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def _bty(error: BtyError) -> Response:
    status = status_of(error)
    if status >= 500:
        current_app.logger.error("%s %s: %s", request.method, request.path, error)
    extra: dict[str, Any] = {}
    if isinstance(error, InvalidField):
        extra["field"] = error.field
    if isinstance(error, InvalidRequest):
        extra["errors"] = [{"field": name, "message": told} for name, told in error.faults]
    return answer(status, error.code, error.message, error.hint, extra)


def _http(error: HTTPException) -> Response:
    if isinstance(error, CSRFError):
        return answer(
            400,
            "form-expired",
            "this form has expired or was not made by this server",
            "go back, load the page again and repeat what you did",
        )
    if error.response is not None:
        response: Response = error.get_response()  # type: ignore[assignment]
        return response
    status = error.code or 500
    told = re.sub(r"[^a-z]+", "-", HTTPStatus(status).phrase.lower())
    detail = {
        404: f"there is nothing at {request.path[:200]}",
        405: f"{request.method} is not possible here",
        413: "the request is larger than this route takes",
    }.get(status, error.description or HTTPStatus(status).phrase)
    found = answer(status, told, detail, None)
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            found.headers[name] = value
    return found


def _bug(error: Exception) -> Response:
    current_app.logger.exception("%s %s", request.method, request.path, exc_info=error)
    return answer(
        500,
        "unforeseen",
        "something went wrong that bty did not foresee",
        "the server's log says more; please report it",
    )


def answer(
    status: int, code: str, detail: str, hint: str | None, extra: dict[str, Any] | None = None
) -> Response:
    """Return a failure as firmware, programs or people read it."""
    if _SCRIPT.fullmatch(request.path) and request.method in ("GET", "HEAD"):
        return scripts.response(scripts.failed(detail))
    if not request.path.startswith("/ui") and request.path != "/":
        response = Response(json.dumps(problem(status, code, detail, hint, extra)), status)
        response.mimetype = TYPE
        if status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response
    # Not render_template(): its context processors read the user from the database.
    page = current_app.jinja_env.get_template("problem.html")
    title = HTTPStatus(status).phrase
    return Response(page.render(status=status, title=title, detail=detail, hint=hint), status)


def problem(
    status: int, code: str, detail: str, hint: str | None, extra: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return an RFC 9457 problem; `code`, `hint` and what is in `extra` are members of its own."""
    found = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **(extra or {}),
    }
    return {**found, "hint": hint} if hint else found
