"""The live environment that machines boot: which one is active, and how another one gets there."""

from __future__ import annotations

from pydantic import Field

from bty_web.api import auth, reading
from bty_web.api.fields import Answer
from bty_web.api.operations import operation
from bty_web.errors import BrokenSetting
from bty_web.extensions import writing
from bty_web.models.words import Scope
from bty_web.security import settings
from bty_web.services import clock, live, live_install
from bty_web.services.history import Actor, record
from bty_web.services.live import Manifest


class LiveFile(Answer):
    """One file of a live environment."""

    name: str
    sha256: str
    size: int


class LiveEnvironment(Answer):
    """What machines boot."""

    version: str
    kernel: str = Field(description="The name of the file.")
    initrd: str = Field(description="The name of the file.")
    cmdline: str
    files: list[LiveFile]


class LiveAnswer(Answer):
    """The live environment, or why there is none."""

    active: LiveEnvironment | None = Field(
        description="Null: none; machines get their own disk instead."
    )
    versions: list[str] = Field(description="All that are there and whole, the newest first.")
    message: str | None = Field(description="Why the one that is there cannot be used.")
    hint: str | None


@operation("GET", "/live", tag="live", scope=Scope.READ, answers={200: LiveAnswer})
def show_live() -> LiveAnswer:
    """Show which live environment is active."""
    root = settings().boot_dir
    there = [one.version for one in live_install.versions(root)]
    try:
        found = live.active(root)
    except BrokenSetting as error:
        return LiveAnswer(active=None, versions=there, message=error.message, hint=error.hint)
    shown = environment(found) if found else None
    return LiveAnswer(active=shown, versions=there, message=None, hint=None)


@operation(
    "PUT",
    "/live",
    tag="live",
    scope=Scope.ADMIN,
    stream="application/x-tar",
    answers={200: LiveEnvironment},
    problems=[507],
)
def put_live() -> LiveEnvironment:
    """Install a live environment and let machines boot it.

    The body is an uncompressed tar: `manifest.json` first, then each file that it names. Nothing changes unless all of
    them are what the manifest says; then machines get the new one at once, and those that are booting the old one still
    find its files. 409: there is another one of this version. 507: there is no room.
    """
    in_force, by = settings(), auth.actor()
    body = reading.incoming()
    found = live_install.install_tar(in_force, body, body.length)
    _note("live.installed", f"the live environment {found.version} was installed", found, by)
    return environment(found)


@operation(
    "POST",
    "/live/{version}/activate",
    tag="live",
    scope=Scope.ADMIN,
    answers={200: LiveEnvironment},
    problems=[404],
)
def activate_live(version: str) -> LiveEnvironment:
    """Let machines boot a live environment that is there: an earlier one again."""
    found = live_install.activate(settings().boot_dir, version)
    told = f"machines get the live environment {found.version} from now on"
    _note("live.activated", told, found, auth.actor())
    return environment(found)


def _note(kind: str, told: str, found: Manifest, by: Actor) -> None:
    with writing() as session:
        record(session, kind, told, by=by, now=clock.now(), subject=found.version)


def environment(found: Manifest) -> LiveEnvironment:
    """Return a manifest as it is answered."""
    files = [LiveFile(name=one.name, sha256=one.sha256, size=one.size) for one in found.files]
    return LiveEnvironment(
        version=found.version,
        kernel=found.kernel,
        initrd=found.initrd,
        cmdline=found.cmdline,
        files=files,
    )
