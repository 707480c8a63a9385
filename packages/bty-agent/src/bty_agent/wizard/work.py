"""What the wizard does between two questions: read disks, make plans. Each returns the answer of its step."""

from __future__ import annotations

from pathlib import Path

from bty_agent.host import Host
from bty_agent.unattended.pace import pace_here
from bty_agent.wizard.answers import (
    Answer,
    BadDisk,
    BadImage,
    BadSetup,
    Disks,
    Judged,
    NotWrote,
    Trouble,
)
from bty_agent.wizard.catalog import digest_of
from bty_agent.wizard.sessions import Session
from bty_agent.wizard.setups import local_setups, provisioner_of
from bty_agent.wizard.steps import State
from bty_core import errors
from bty_core.errors import BtyError, Refusals
from bty_core.flash.plan import FlashOptions, FlashPlan, refusals, warnings
from bty_core.images.inspect import inspect
from bty_core.images.locate import locate

# What speaks of the disk; nothing was written then, and another disk may do.
_OF_DISK = (
    errors.DiskNotFound,
    errors.DiskAmbiguous,
    errors.NotADisk,
    errors.DiskBusy,
    errors.DiskReadOnly,
    errors.DiskTooSmall,
    errors.DiskChanged,
    errors.SectorSizeMismatch,
    errors.ImageIsTarget,
)


def look_at_disks(host: Host, root: Path, session: Session) -> Answer:
    """Read the disks, and what the server and `root` have to be set up on one."""
    try:
        return Disks(tuple(host.disks()), (*session.setups(), *local_setups(root)))
    except BtyError as error:
        return BadDisk(trouble(error))


def make_plan(host: Host, state: State, options: FlashOptions, session: Session) -> Answer:
    """Look at the image and judge the plan."""
    assert state.image is not None
    assert state.disk is not None
    try:
        image = inspect(locate(state.image.where, settings=pace_here().http), options.max_window)
    except BtyError as error:
        return BadImage(trouble(error))
    plan = FlashPlan(image=image, disk=state.disk, digest=digest_of(state.image), options=options)
    if found := refusals(plan):
        return BadDisk(trouble(Refusals(found)))
    found_warnings = warnings(plan, host.firmware.value)
    try:
        served = state.setup.served
        provisioner = session.provisioner(state.setup) if served else provisioner_of(state.setup)
        refused = provisioner.refusals(plan) if provisioner else []
    except BtyError as error:
        return BadSetup(trouble(error))
    if refused:
        return BadSetup(trouble(Refusals(refused)))
    if provisioner:
        found_warnings += provisioner.warnings(plan)
    return Judged(plan, tuple(found_warnings), provisioner)


def failed(error: BtyError) -> Answer:
    """Return what a failed flash means for the wizard."""
    found = error.reasons if isinstance(error, Refusals) else (error,)
    if all(isinstance(one, _OF_DISK) for one in found):
        return BadDisk(trouble(error))
    return NotWrote(trouble(error))


def trouble(error: BtyError) -> Trouble:
    """Return a failure as it is shown."""
    found = error.reasons if isinstance(error, Refusals) else (error,)
    return Trouble(tuple(one.message for one in found), error.hint, error.aftermath)
