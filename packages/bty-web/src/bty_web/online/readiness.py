"""Whether this server can run workflows: what `bty-web check` and `serve` say of it."""

from __future__ import annotations

from bty_core import proc
from bty_core.errors import BtyError
from bty_core.provisioning.cijoe import find_cijoe
from bty_web.online import sandbox
from bty_web.services.readiness import Finding, Weight
from bty_web.settings import Settings


def workflows(what: str, _settings: Settings) -> Finding:
    """Look for the programs, and fence one in."""
    try:
        find_cijoe()
        proc.find("ssh")
        sandbox.check()
    except BtyError as error:
        return Finding(what, Weight.NOTE, f"{error.message}; only workflows need it", error.hint)
    return Finding(what, Weight.GOOD, "cijoe and ssh are there, and programs can be fenced in")


LOOKS = {"workflows": workflows}
