"""What can be wrong with provisioning: before the write a refusal, after it a failure."""

from __future__ import annotations

from bty_core.errors import ProvisioningFailed, Refused


class SeedRefused(Refused):
    """cloud-init would not understand user-data, meta-data or network-config."""

    code = "seed-refused"


class NoPlaceForSeed(Refused):
    """The image has no filesystem that could take a seed, and the disk no room for a CIDATA partition."""

    code = "no-place-for-seed"


class NoRootInImage(Refused):
    """The image has no partition that could hold a root filesystem which bty mounts."""

    code = "no-root-in-image"


class WorkflowRefused(Refused):
    """The CIJOE workflow, or its configuration, is missing or cannot be run."""

    code = "workflow-refused"


class RootNotFound(ProvisioningFailed):
    """No root filesystem that can be mounted is on the disk."""

    code = "root-not-found"


class SeedNotPlaced(ProvisioningFailed):
    """The seed for cloud-init is not on the disk."""

    code = "seed-not-placed"


class SeedWouldBeIgnored(ProvisioningFailed):
    """cloud-init in the image is off, or set to take its data from elsewhere."""

    code = "seed-would-be-ignored"


class UnsafePath(ProvisioningFailed):
    """A path in the target's filesystem is not what it has to be, and nothing is written there."""

    code = "unsafe-path"


class WorkflowFailed(ProvisioningFailed):
    """A step of the CIJOE workflow failed, or the workflow ran out of time."""

    code = "workflow-failed"
