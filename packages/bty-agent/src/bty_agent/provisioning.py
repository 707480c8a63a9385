"""The options of provisioning, and the provisioner that they mean."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bty_agent.paths import FILE, FOLDER, declare_path
from bty_core.errors import BtyError, InvalidValue
from bty_core.provisioning.limits import CIJOE_REPORTS, CIJOE_TIMEOUT
from bty_core.values import MacAddress
from bty_core.wire.plan import ProvisioningMode

if TYPE_CHECKING:
    from bty_core.provisioning.job import Provisioner

PROVISIONING = (ProvisioningMode.NONE, ProvisioningMode.CLOUD_INIT, ProvisioningMode.CIJOE)
# Each option, and the one mode that it belongs to.
_BELONGS = {
    "user_data": ProvisioningMode.CLOUD_INIT,
    "meta_data": ProvisioningMode.CLOUD_INIT,
    "network_config": ProvisioningMode.CLOUD_INIT,
    "cijoe_workflow": ProvisioningMode.CIJOE,
    "cijoe_config": ProvisioningMode.CIJOE,
    "cijoe_output": ProvisioningMode.CIJOE,
    "cijoe_timeout": ProvisioningMode.CIJOE,
}
_NEEDED = {
    ProvisioningMode.CLOUD_INIT: "user_data",
    ProvisioningMode.CIJOE: "cijoe_workflow",
}


def declare_provisioning(parser: argparse.ArgumentParser) -> None:
    """Add the options to ``bty flash``."""
    parser.add_argument(
        "--provision",
        choices=[mode.value for mode in PROVISIONING],
        type=_mode,
        default=ProvisioningMode.NONE.value,
        help="what to set up on the disk afterwards: nothing (none), a seed for cloud-init, or what a"
        " CIJOE workflow does on its root filesystem (default: none)",
    )
    for flag, says in (
        ("--user-data", "with cloud-init: the user-data, for example a #cloud-config"),
        ("--meta-data", "with cloud-init: more meta-data, such as local-hostname"),
        ("--network-config", "with cloud-init: the network, version 1 or 2"),
        ("--cijoe-workflow", "with cijoe: the workflow"),
        ("--cijoe-config", "with cijoe: its configuration"),
    ):
        declare_path(parser, flag, FILE, metavar="FILE", type=Path, help=says)
    declare_path(
        parser,
        "--cijoe-output",
        FOLDER,
        metavar="DIR",
        type=Path,
        help=f"with cijoe: where each run gets a folder for its report (default: {CIJOE_REPORTS})",
    )
    parser.add_argument(
        "--cijoe-timeout",
        metavar="SECONDS",
        type=_seconds,
        help=f"with cijoe: how long the workflow may take (default: {CIJOE_TIMEOUT:g})",
    )


def check_options(arguments: argparse.Namespace) -> None:
    """Raise `InvalidValue` for options that belong to another mode, and for one that the mode lacks."""
    mode = ProvisioningMode(arguments.provision)
    for name, belongs in _BELONGS.items():
        if getattr(arguments, name) is not None and belongs is not mode:
            raise InvalidValue(
                f"{_flag(name)} belongs to --provision {belongs}", hint=f"add --provision {belongs}"
            )
    needed = _NEEDED.get(mode)
    if needed is not None and getattr(arguments, needed) is None:
        raise InvalidValue(f"--provision {mode} needs {_flag(needed)}")


def provisioner_of(arguments: argparse.Namespace) -> Provisioner | None:
    """Return what the options mean, read and checked; raise `Refused` or `ProgramMissing`."""
    from bty_core.proc import find

    match ProvisioningMode(arguments.provision):
        case ProvisioningMode.CLOUD_INIT:
            from bty_core.provisioning.cloud_init import CloudInit
            from bty_core.provisioning.seed import read_seed

            find("blkid")
            seed = read_seed(arguments.user_data, arguments.meta_data, arguments.network_config)
            return CloudInit(seed)
        case ProvisioningMode.CIJOE:
            from bty_core.provisioning.cijoe import Cijoe, read_workflow

            for program in ("blkid", "setpriv", "unshare"):
                find(program)
            return Cijoe(
                workflow=read_workflow(arguments.cijoe_workflow, arguments.cijoe_config),
                mac=_booted_mac(),
                timeout=arguments.cijoe_timeout or CIJOE_TIMEOUT,
                reports=arguments.cijoe_output or CIJOE_REPORTS,
            )
        case _:
            return None


def _booted_mac() -> MacAddress | None:
    """Return the address that this machine has booted with; None where it did not boot from a server of bty."""
    from bty_agent.boot_line import read_boot_line

    try:
        return read_boot_line().mac
    except BtyError:
        return None


def _mode(text: str) -> str:
    if text == ProvisioningMode.CIJOE_ONLINE:
        raise InvalidValue(
            f"--provision {text} is done by a server, after the machine has booted its own system",
            hint="choose it on the machine's page",
        )
    return text


def _seconds(text: str) -> float:
    if text.isascii() and text.isdecimal() and 0 < int(text) <= 7 * 86400:
        return float(text)
    raise InvalidValue(f"'{text}' is no number of seconds", hint="write for example 1800")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
