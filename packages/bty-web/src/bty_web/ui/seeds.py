"""Seeds for cloud-init: the templates of a machine or a group, and what they become."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import flash, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from bty_core.errors import BtyError
from bty_core.wire.fields import InvalidField
from bty_web.errors import NotFound
from bty_web.extensions import db, writing
from bty_web.models import Group, Machine, Seed
from bty_web.security import login_required, person, vault
from bty_web.services import seeds
from bty_web.services.clock import now
from bty_web.services.seeds import SeedTexts
from bty_web.ui.blueprint import bp
from bty_web.ui.machine import find as find_machine

# Of a unit of work, or of this request.
_Find = Callable[[Session | None], Machine | Group]
_NEW = "#cloud-config\nhostname: {{ hostname }}\nssh_authorized_keys: {{ ssh_keys }}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedPage:
    """The templates of `owner`, and what they become for `shown_for`, where somebody asked."""

    owner: Machine | Group
    seed: Seed | None  # its own
    inherited: Group | None  # the group whose seed a machine without one of its own gets
    texts: SeedTexts
    secret: bool
    preview: SeedTexts | None = None
    shown_for: Machine | None = None
    error: BtyError | None = None
    names = seeds.NAMES

    @property
    def title(self) -> str:
        """Whose it is."""
        owner = self.owner
        return owner.title if isinstance(owner, Machine) else f"group {owner.name}"

    @property
    def field(self) -> str:
        """The text that is wrong, if one is."""
        return self.error.field if isinstance(self.error, InvalidField) else ""

    def where(self, endpoint: str) -> str:
        """Return the address of something that is done with this seed."""
        kind = "machine" if isinstance(self.owner, Machine) else "group"
        return url_for(f"ui.{kind}_{endpoint}", number=self.owner.id)


@bp.get("/machines/<int:number>/seed")
@login_required
def machine_seed(number: int) -> str:
    """Show the seed of a machine."""
    return _drawn(find_machine(number))


@bp.get("/groups/<int:number>/seed")
@login_required
def group_seed(number: int) -> str:
    """Show the seed of a group."""
    return _drawn(_group(number))


@bp.post("/machines/<int:number>/seed")
@login_required
def machine_keep_seed(number: int) -> Response | str | tuple[str, int]:
    """Keep the seed of a machine, or only try it."""
    return _keep(lambda session: find_machine(number, session))


@bp.post("/groups/<int:number>/seed")
@login_required
def group_keep_seed(number: int) -> Response | str | tuple[str, int]:
    """Keep the seed of a group, or only try it."""
    return _keep(lambda session: _group(number, session))


@bp.post("/machines/<int:number>/seed/remove")
@login_required
def machine_remove_seed(number: int) -> Response:
    """Remove the seed of a machine."""
    _remove(lambda session: find_machine(number, session))
    return redirect(url_for("ui.machine_seed", number=number))


@bp.post("/groups/<int:number>/seed/remove")
@login_required
def group_remove_seed(number: int) -> Response:
    """Remove the seed of a group."""
    _remove(lambda session: _group(number, session))
    return redirect(url_for("ui.group_seed", number=number))


def _keep(find: _Find) -> Response | str | tuple[str, int]:
    form = request.form
    texts = SeedTexts(**{name: form.get(name, "").replace("\r\n", "\n") for name in seeds.TEXTS})
    secret = form.get("secret") == "yes"
    try:
        if "preview" in form:
            return _tried(find(None), texts, secret)
        with writing() as session:
            seeds.keep(
                session,
                find(session),
                texts,
                secret=secret,
                vault=vault(),
                by=person(),
                now=now(),
            )
    except InvalidField as error:
        return _drawn(find(None), texts=texts, secret=secret, error=error), 422
    flash("The seed is kept. It is used at the next flash.", "ok")
    return redirect(_page(find(None), None).where("seed"))


def _tried(owner: Machine | Group, texts: SeedTexts, secret: bool) -> str:
    machine = seeds.example(db.session(), owner)
    if machine is None:
        error = NotFound("the group has no machine to show this for")
        return _drawn(owner, texts=texts, secret=secret, error=error)
    preview = seeds.rendered(db.session(), machine, texts)
    return _drawn(owner, texts=texts, secret=secret, preview=preview, shown_for=machine)


def _remove(find: _Find) -> None:
    with writing() as session:
        seeds.remove(session, find(session), by=person(), now=now())
    flash("The seed is removed.", "ok")


def _drawn(owner: Machine | Group, **more: object) -> str:
    return render_template("seeds/seed.html", page=_page(owner, more))


def _page(owner: Machine | Group, more: Mapping[str, object] | None) -> SeedPage:
    session = db.session()
    seed = seeds.find(session, owner)
    inherited = None
    if seed is None and isinstance(owner, Machine) and seeds.for_machine(session, owner):
        inherited = session.get(Group, owner.group_id)
    values: dict[str, object] = {
        "texts": SeedTexts(user_data=_NEW),
        "secret": seed.secret if seed else False,
    }
    if seed is not None:
        # What is secret is not shown, not even to who wrote it.
        values["texts"] = SeedTexts() if seed.secret else seeds.opened(seed, vault()).texts
    values.update(more or {})
    return SeedPage(owner=owner, seed=seed, inherited=inherited, **values)  # type: ignore[arg-type]


def _group(number: int, session: Session | None = None) -> Group:
    found = (session or db.session()).get(Group, number)
    if found is None:
        raise NotFound(f"there is no group {number}", hint="it may have been removed")
    return found
