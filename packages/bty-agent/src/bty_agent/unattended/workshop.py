"""What a workflow of the server needs here: its archive, unpacked, and its report, handed over."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bty_core.errors import BtyError
from bty_core.provisioning import bundles
from bty_core.provisioning.cijoe import Cijoe, read_workflow
from bty_core.provisioning.errors import WorkflowRefused
from bty_core.values import MIB, MacAddress
from bty_core.wire.fields import InvalidField
from bty_core.wire.plan import Workflow

MOST_REPORT = 32 * MIB  # what the server takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """A folder of one attempt. `fetch` returns the archive that the plan names."""

    folder: Path
    mac: MacAddress
    fetch: Callable[[Workflow], bytes]

    @property
    def reports(self) -> Path:
        """Where each run gets a folder."""
        return self.folder / "reports"

    def provisioner(self, offer: Workflow) -> Cijoe:
        """Fetch the workflow and have cijoe check it.

        Raises `WorkflowRefused`, `ProgramMissing`, and what `fetch` raises.
        """
        place = self.folder / "workflow"
        shutil.rmtree(place, ignore_errors=True)
        data = self.fetch(offer)
        try:
            place.mkdir(parents=True, mode=0o700)
            bundles.unpack(data, place)
        except InvalidField as error:
            raise WorkflowRefused(
                f"the archive of the workflow {offer.name} cannot be used: {error.message}",
                hint="upload it to the server again",
            ) from error
        except OSError as error:
            raise BtyError(f"the workflow cannot be kept in {place}: {error.strerror}") from error
        config = place / offer.config if offer.config else None
        return Cijoe(
            workflow=read_workflow(place / offer.task, config),
            mac=self.mac,
            reports=self.reports,
        )

    def report(self) -> bytes | None:
        """Return what the last run left, packed; None where none ran, or where it is too large."""
        runs = sorted(self.reports.glob("*/"), key=lambda path: path.stat().st_mtime)
        if not runs:
            return None
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w:gz") as tar:
            tar.add(runs[-1], arcname="report", filter=_plain)
        data = made.getvalue()
        return data if len(data) <= MOST_REPORT else None


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out what is no file or folder, and whose it was."""
    if not (member.isreg() or member.isdir()):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
