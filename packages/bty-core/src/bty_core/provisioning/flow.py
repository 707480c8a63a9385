"""A flash and what is set up afterwards, as one thing that succeeds or fails."""

from __future__ import annotations

from dataclasses import replace
from threading import Event as Flag

from bty_core.disks.model import Disk
from bty_core.errors import BtyError, Cancelled, ProvisioningFailed
from bty_core.events import Done, Emit, Event, Provisioning, nowhere
from bty_core.flash.engine import THIS_COMPUTER, DiskAccess, flash, unbreakable
from bty_core.flash.plan import FlashPlan
from bty_core.provisioning.job import Job, Provisioner


def flash_and_provision(
    plan: FlashPlan,
    provisioner: Provisioner | None,
    emit: Emit = nowhere,
    cancel: Flag | None = None,
    disks: DiskAccess | None = None,
) -> Done:
    """Run the plan, then the provisioner; `Done` comes after both.

    Raises what `flash` raises, and `ProvisioningFailed` or `Cancelled` once the image is on the disk; then the
    error's `aftermath` says so. The provisioner's own refusals are the caller's to ask for, before.
    """
    if provisioner is None:
        return flash(plan, emit, cancel, disks)
    cancel = cancel or Flag()
    disks = disks or THIS_COMPUTER
    safely = unbreakable(emit)

    def but_done(event: Event) -> None:
        if not isinstance(event, Done):
            safely(event)

    done = flash(plan, but_done, cancel, disks)
    try:
        said = _provision(plan, provisioner, safely, cancel, disks)
    except BtyError as error:
        raise _after_the_write(error, plan.disk) from error.__cause__
    except OSError as error:
        failed = ProvisioningFailed(f"provisioning failed: {error}")
        raise _after_the_write(failed, plan.disk) from error
    except KeyboardInterrupt:
        raise _after_the_write(Cancelled("interrupted"), plan.disk) from None
    except Exception as error:
        error.add_note(_aftermath(plan.disk))
        raise
    done = replace(done, provisioned=said)
    safely(done)
    return done


def _provision(
    plan: FlashPlan,
    provisioner: Provisioner,
    emit: Emit,
    cancel: Flag,
    disks: DiskAccess,
) -> str:
    def tell(doing: str, step: int | None = None, steps: int | None = None) -> None:
        emit(Provisioning(mode=provisioner.mode.value, doing=doing, step=step, steps=steps))

    job = Job(
        disk=disks.look_again(plan.disk),
        image=plan.image.name,
        tell=tell,
        cancel=cancel,
    )
    job.go_on()
    said = provisioner.run(job)
    disks.settle(plan.disk)
    return said


def _after_the_write(error: BtyError, disk: Disk) -> BtyError:
    """Return `error` as one of a disk that holds its image; a refusal would promise that nothing was written."""
    if not isinstance(error, ProvisioningFailed | Cancelled):
        error = ProvisioningFailed(error.message, hint=error.hint)
    error.aftermath = _aftermath(disk)
    return error


def _aftermath(disk: Disk) -> str:
    return f"the image is on {disk.path}, but it is not provisioned; flash it again"
