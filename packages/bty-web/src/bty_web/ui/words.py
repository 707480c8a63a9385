"""What the words of an assignment mean: a policy in a few words, and each in a sentence."""

from __future__ import annotations

from collections.abc import Mapping

from bty_core.wire.plan import ProvisioningMode
from bty_web.models.words import Policy

POLICY_NAMES: Mapping[Policy, str] = {
    Policy.LOCAL: "own disk",
    Policy.TUI: "wizard",
    Policy.FLASH: "flash every boot",
    Policy.FLASH_ONCE: "flash once",
    Policy.FLASH_CYCLE: "flash every other boot",
}
POLICIES: Mapping[Policy, str] = {
    Policy.LOCAL: "boots its own disk, every time",
    Policy.TUI: "shows the wizard: a person at its console chooses image and disk",
    Policy.FLASH: "is flashed at every network boot",
    Policy.FLASH_ONCE: "is flashed once for this assignment, then boots its own disk",
    Policy.FLASH_CYCLE: "is flashed, boots its own disk once, and is flashed again at the boot after that",
}
OPTIONS: Mapping[str, tuple[str, str]] = {
    "verify": (
        "Read the disk back",
        "after the write, past the cache, and compare every byte",
    ),
    "fix_gpt": (
        "Move the GPT's backup to the end of the disk",
        "where the disk is larger than the image",
    ),
    "uefi_entry": (
        "Add a UEFI boot entry",
        "for the next boot only (BootNext): the boot order is never changed",
    ),
}
PROVISIONING: Mapping[ProvisioningMode, str] = {
    ProvisioningMode.NONE: "the disk holds the image as it is",
    ProvisioningMode.CLOUD_INIT: "cloud-init gets user-data",
    ProvisioningMode.CIJOE: "a CIJOE workflow runs on the disk that was written",
    ProvisioningMode.CIJOE_ONLINE: "a CIJOE workflow of this server runs against the machine once it has booted",
}


def policy_name(policy: str) -> str:
    """Return what a boot policy means, in the fewest words."""
    return POLICY_NAMES[Policy(policy)]


def policy_text(policy: str) -> str:
    """Return a boot policy as pages show it: what it means, and its word for programs."""
    return f"{policy_name(policy)} ({policy})"
