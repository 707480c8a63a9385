"""The live environment that machines boot: which one is active."""

from __future__ import annotations

from pydantic import Field

from bty_web.api.fields import Answer
from bty_web.api.operations import operation
from bty_web.errors import BrokenSetting
from bty_web.models.words import Scope
from bty_web.security import settings
from bty_web.services import live
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
    message: str | None = Field(description="Why the one that is there cannot be used.")
    hint: str | None


@operation("GET", "/live", tag="live", scope=Scope.READ, answers={200: LiveAnswer})
def show_live() -> LiveAnswer:
    """Show which live environment is active."""
    try:
        found = live.active(settings().boot_dir)
    except BrokenSetting as error:
        return LiveAnswer(active=None, message=error.message, hint=error.hint)
    return LiveAnswer(active=environment(found) if found else None, message=None, hint=None)


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
