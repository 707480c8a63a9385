"""Bearer tokens for the API: made and shown once, listed, removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import flash, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from bty_core.wire.fields import InvalidField
from bty_web.errors import NotFound
from bty_web.extensions import db, writing
from bty_web.models import ApiToken
from bty_web.models.words import Scope
from bty_web.security import base_url, login_required, person
from bty_web.services import users
from bty_web.services.clock import now
from bty_web.ui.blueprint import bp

SCOPES = {
    Scope.READ: "read: look at everything, change nothing",
    Scope.OPERATE: "operate: assign, reflash and cancel too",
    Scope.ADMIN: "admin: images, live environment and settings too",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensPage:
    """What the page of API tokens shows; `made` is the text of a token that was made just now."""

    tokens: Sequence[ApiToken]
    server: str
    label: str = ""
    scope: str = Scope.READ.value
    made: str | None = None
    error: InvalidField | None = None
    scopes = SCOPES


@bp.get("/settings/tokens")
@login_required
def tokens() -> str:
    """List the tokens."""
    return render_template("settings/tokens.html", page=_page())


@bp.post("/settings/tokens")
@login_required
def token_add() -> str | tuple[str, int]:
    """Make a token, and show it this once."""
    label, scope = request.form.get("label", ""), request.form.get("scope", "")
    try:
        if scope not in set(Scope):
            raise InvalidField("scope", "choose what the token may do")
        with writing() as session:
            token, text = users.add_token(session, label, Scope(scope), by=person(), now=now())
    except InvalidField as error:
        return render_template("settings/tokens.html", page=_page(label, scope, error=error)), 422
    # Not by way of a redirect: the text would have to be kept somewhere in between.
    return render_template("settings/tokens.html", page=_page(token.label, token.scope, made=text))


@bp.get("/settings/tokens/<int:number>/remove")
@login_required
def token_ask_remove(number: int) -> str:
    """Ask before a token is removed."""
    token = db.session.get(ApiToken, number)
    if token is None:
        raise NotFound(f"there is no token {number}", hint="it may have been removed already")
    return render_template("settings/remove_token.html", token=token)


@bp.post("/settings/tokens/<int:number>/remove")
@login_required
def token_remove(number: int) -> Response:
    """Remove a token."""
    with writing() as session:
        users.remove_token(session, number, by=person(), now=now())
    flash("The token is removed and no longer accepted.", "ok")
    return redirect(url_for("ui.tokens"))


def _page(
    label: str = "",
    scope: str = Scope.READ.value,
    *,
    made: str | None = None,
    error: InvalidField | None = None,
) -> TokensPage:
    found = db.session.scalars(select(ApiToken).order_by(ApiToken.label)).all()
    return TokensPage(
        tokens=found, server=base_url(), label=label, scope=scope, made=made, error=error
    )
