"""The account of the person who asks, and who else may log in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import flask_login
from flask import flash, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from bty_core.errors import BtyError, InvalidValue, Refused
from bty_core.wire.fields import InvalidField
from bty_web import security
from bty_web.errors import Conflict, NotAllowed, NotFound
from bty_web.extensions import db, writing
from bty_web.models import User
from bty_web.problems import status_of
from bty_web.security import client_address, current_user, login_required, person
from bty_web.services import logins, users
from bty_web.services.appliance import USER
from bty_web.services.clock import now
from bty_web.ui.blueprint import bp


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPage:
    """What the page of the account shows; `field` is the one that an error is about."""

    user: User
    people: Sequence[User]
    systems: str | None  # the user whose password is the system's, if there is one
    shortest: int = users.SHORTEST
    error: BtyError | None = None
    name: str = ""  # of a user who could not be added
    ssh_keys: str = ""  # of the user, or what was refused

    @property
    def field(self) -> str:
        """The field that is wrong, if one is."""
        return self.error.field if isinstance(self.error, InvalidField) else ""


@bp.get("/settings/account")
@login_required
def account() -> str:
    """Show the account and the other users."""
    return _page()


@bp.post("/settings/account/password")
@login_required
def account_password() -> Response | tuple[str, int]:
    """Change the password of whoever asks, who has to know the old one."""
    name, by = current_user().name, person()
    try:
        logins.insist_on_ours(security.process_settings(), name)
        _checked(name, request.form.get("old", ""))
        fresh = request.form.get("password", "")
        if fresh != request.form.get("again", ""):
            raise InvalidField("again", "the two new passwords differ")
        with writing() as session:
            user = users.set_password(session, name, fresh, by=by, now=now())
    except (InvalidValue, NotAllowed, Refused) as error:
        return _page(error), status_of(error)
    security.begin_session(user)  # every session ended, this one goes on
    flash("The password is changed. Every other session of yours has ended.", "ok")
    return redirect(url_for("ui.account"))


@bp.post("/settings/account/ssh-keys")
@login_required
def account_ssh_keys() -> Response | tuple[str, int]:
    """Keep the public SSH keys of whoever asks."""
    text = request.form.get("ssh_keys", "")
    try:
        with writing() as session:
            users.set_ssh_keys(session, current_user().name, text, by=person(), now=now())
    except InvalidField as error:
        return _page(error, ssh_keys=text), 422
    flash("The keys are kept. Templates of seeds have them at the next flash.", "ok")
    return redirect(url_for("ui.account"))


@bp.post("/settings/account/sessions")
@login_required
def account_end_sessions() -> Response:
    """Log this person out everywhere, here too."""
    name, by = current_user().name, person()
    with writing() as session:
        users.end_sessions(session, name, by=by, now=now())
    flask_login.logout_user()
    return redirect(url_for("ui.login"))


@bp.post("/settings/account/users")
@login_required
def account_add_user() -> Response | tuple[str, int]:
    """Add a person who may log in."""
    name = request.form.get("name", "").strip()
    try:
        with writing() as session:
            users.create(session, name, request.form.get("initial", ""), by=person(), now=now())
    except InvalidField as error:
        # The page has a field for a new password of one's own too.
        found = InvalidField("initial", error.message) if error.field == "password" else error
        return _page(found, name), 422
    flash(f"{name} may log in now.", "ok")
    return redirect(url_for("ui.account"))


@bp.get("/settings/account/users/<int:number>/remove")
@login_required
def account_ask_remove_user(number: int) -> str:
    """Ask before a user is removed."""
    return _ask_remove(_another(number))


@bp.post("/settings/account/users/<int:number>/remove")
@login_required
def account_remove_user(number: int) -> Response:
    """Remove another user."""
    name = _another(number).name
    with writing() as session:
        users.remove(session, name, by=person(), now=now())
    flash(f"{name} is removed and may no longer log in.", "ok")
    return redirect(url_for("ui.account"))


def _another(number: int) -> User:
    """Return a user who is not the one who asks; raise `NotFound` or `Conflict`."""
    found = db.session.get(User, number)
    if found is None:
        raise NotFound(f"there is no user {number}", hint="somebody may have removed it already")
    if found.id == current_user().id:
        raise Conflict("you cannot remove yourself", hint="another user can")
    logins.insist_on_ours(security.process_settings(), found.name)
    return found


def _ask_remove(user: User) -> str:
    tokens = users.tokens_of(db.session(), user.name)
    return render_template("settings/remove_user.html", user=user, tokens=tokens)


def _checked(name: str, password: str) -> None:
    """Raise unless this is the password; guessing it is throttled as at the login."""
    users.throttled(db.session(), name, client_address(), now())
    if users.check(db.session(), name, password) is not None:
        return
    with writing() as session:
        users.login_failed(session, name, by=person(), now=now())
    raise InvalidField("old", "this is not your password")


def _page(error: BtyError | None = None, name: str = "", ssh_keys: str | None = None) -> str:
    found = db.session.scalars(select(User).order_by(User.name)).all()
    systems = USER if logins.is_the_systems(security.process_settings(), USER) else None
    page = AccountPage(
        user=current_user(),
        people=found,
        systems=systems,
        error=error,
        name=name,
        ssh_keys=current_user().ssh_keys if ssh_keys is None else ssh_keys,
    )
    return render_template("settings/account.html", page=page)
