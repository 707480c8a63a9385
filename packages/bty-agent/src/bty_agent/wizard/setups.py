"""What a stick has to be set up on a disk: folders below ``seeds`` and ``workflows``, beside the images."""

from __future__ import annotations

from pathlib import Path

from bty_agent.wizard.offers import NOTHING, Setup
from bty_core.provisioning.cijoe import Cijoe, read_workflow
from bty_core.provisioning.cloud_init import CloudInit
from bty_core.provisioning.errors import SeedRefused, WorkflowRefused
from bty_core.provisioning.job import Provisioner
from bty_core.provisioning.seed import read_seed
from bty_core.wire.plan import ProvisioningMode

SEEDS, WORKFLOWS = "seeds", "workflows"


def local_setups(root: Path) -> tuple[Setup, ...]:
    """Return what there is in `root`; nothing alone where it cannot be read."""
    found = [NOTHING]
    for mode, folder in ((ProvisioningMode.CLOUD_INIT, SEEDS), (ProvisioningMode.CIJOE, WORKFLOWS)):
        try:
            inside = sorted(one for one in (root / folder).iterdir() if one.is_dir())
        except OSError:
            continue
        found += [Setup(mode, one.name, one) for one in inside if not one.name.startswith(".")]
    return tuple(found)


def provisioner_of(setup: Setup) -> Provisioner | None:
    """Read and check what is in the folder; raise `SeedRefused`, `WorkflowRefused` or `ProgramMissing`."""
    folder = setup.folder
    if folder is None:
        return None
    match setup.mode:
        case ProvisioningMode.CLOUD_INIT:
            texts = {name: folder / name for name in ("user-data", "meta-data", "network-config")}
            if not texts["user-data"].exists():
                raise SeedRefused(
                    f"{folder} has no file user-data", hint="put it there, with that name"
                )
            more = [texts[name] for name in ("meta-data", "network-config")]
            meta_data, network = (path if path.exists() else None for path in more)
            return CloudInit(read_seed(texts["user-data"], meta_data, network))
        case ProvisioningMode.CIJOE:
            return Cijoe(
                workflow=read_workflow(_only(folder, "task", ".yaml", ".yml"), _config(folder))
            )
        case _:
            return None


def _config(folder: Path) -> Path | None:
    return _only(folder, "configuration", ".toml") if list(folder.glob("*.toml")) else None


def _only(folder: Path, what: str, *suffixes: str) -> Path:
    found = sorted(path for path in folder.iterdir() if path.suffix in suffixes)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise WorkflowRefused(
            f"{folder} has not exactly one {what} ({' or '.join(suffixes)}): {names}",
            hint="leave one of them at its top, and put others into a folder below",
        )
    return found[0]
