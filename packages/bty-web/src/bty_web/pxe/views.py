"""What firmware asks: the bootstrap script, the script of one machine, and whether the server is there."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, jsonify, request

from bty_core.values import MacAddress
from bty_web import __version__
from bty_web.errors import BrokenSetting
from bty_web.extensions import db
from bty_web.models.words import Policy
from bty_web.pxe import scripts
from bty_web.pxe.scripts import LiveBoot
from bty_web.security import base_url, client_address, key, settings
from bty_web.services import clock, contacts, live
from bty_web.services.boot import Flash, OwnDisk, Wizard
from bty_web.services.contacts import Contact
from bty_web.services.live import Manifest
from bty_web.services.machines import Seen
from bty_web.settings import Settings

bp = Blueprint("pxe", __name__)


@bp.get("/healthz")
def healthz() -> Response:
    """Say that this server answers."""
    return jsonify(status="ok")


@bp.get("/version")
def version() -> Response:
    """Say which version this is."""
    return jsonify(version=__version__)


@bp.get("/pxe-bootstrap.ipxe")
def bootstrap() -> Response:
    """The first script: the same for every machine."""
    return scripts.response(scripts.bootstrap(base_url()))


@bp.get("/pxe/<text>", strict_slashes=False)
def script(text: str) -> Response:
    """The script of one machine, now."""
    mac = MacAddress.parse(text)
    if request.method == "HEAD":
        return scripts.response("")
    now_in_force = settings()
    where = base_url()
    environment, why_not = _live_environment(now_in_force)
    db.session.remove()  # what waits for a second connection while it holds one may wait for ever
    found = contacts.contact(
        db.engine,
        mac,
        seen(),
        default_policy=Policy(now_in_force.default_policy),
        grace=timedelta(seconds=now_in_force.local_boot_grace),
        key=key(),
        now=clock.now(),
        can_boot=environment is not None,
    )
    if isinstance(found.decision, OwnDisk):
        own_disk = scripts.local(found.title, found.decision.reason, found.local_boot)
        return scripts.response(own_disk)
    if environment is None:
        return scripts.response(scripts.failed(why_not, found.local_boot))
    return scripts.response(_live_script(found, mac, where, environment))


def _live_environment(in_force: Settings) -> tuple[Manifest | None, str]:
    """Return the live environment, or why there is none."""
    try:
        found = live.active(in_force.boot_dir)
    except BrokenSetting as error:
        return None, error.message
    return found, "this server has no live environment yet: upload one on its page"


def _live_script(found: Contact, mac: MacAddress, where: str, environment: Manifest) -> str:
    assert found.attempt is not None
    assert found.token is not None
    boot = LiveBoot(base=where, live=environment, mac=mac, attempt=found.attempt, token=found.token)
    match found.decision:
        case OwnDisk():
            raise AssertionError("unreachable")
        case Wizard(reason=reason):
            return scripts.tui(found.title, reason, found.local_boot, boot)
        case Flash():
            return scripts.flash(found.title, found.image or "", found.local_boot, boot)


def seen() -> Seen:
    """Return what the query says of the machine, cut short."""

    def said(name: str) -> str | None:
        text = request.args.get(name, "")
        if not text.isprintable():
            text = "".join(one for one in text if one.isprintable())
        return text.strip()[:200] or None

    platform = said("platform")
    return Seen(
        address=client_address(),
        platform=platform[:20] if platform else None,
        uuid=said("uuid"),
        serial=said("serial"),
        product=said("product"),
    )
