"""Disks, images and plans in the JSON that the commands print, a contract with scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bty_core.disks.guard import objections
from bty_core.disks.model import Disk
from bty_core.errors import Refused
from bty_core.flash.plan import FlashPlan
from bty_core.images.table import ImageTable
from bty_core.provisioning.job import Provisioner
from bty_core.wire.plan import ProvisioningMode


def disk_wire(disk: Disk) -> dict[str, Any]:
    """Return a disk with what is on it and every reason not to write it."""
    return {
        "path": str(disk.path),
        "kind": disk.kind,
        "size_bytes": disk.size,
        "serial": disk.serial,
        "wwn": disk.wwn,
        "model": disk.model,
        "transport": disk.transport,
        "removable": disk.removable,
        "read_only": disk.read_only,
        "rotational": disk.rotational,
        "logical_sector_bytes": disk.logical_sector,
        "physical_sector_bytes": disk.physical_sector,
        "by_path": list(disk.by_path),
        "partition_table": disk.table,
        "filesystem": disk.filesystem,
        "label": disk.label,
        "partitions": [
            {
                "path": str(part.path),
                "number": part.number,
                "start_bytes": part.start,
                "size_bytes": part.size,
                "type": part.type,
                "name": part.partlabel,
                "filesystem": part.filesystem,
                "label": part.label,
            }
            for part in disk.partitions
        ],
        "uses": [{"device": str(use.device), "what": use.what} for use in disk.uses],
        "refusals": refusals_wire(objections(disk)),
    }


def refusals_wire(found: Sequence[Refused]) -> list[dict[str, str | None]]:
    """Return reasons with their codes."""
    return [{"code": one.code, "message": one.message, "hint": one.hint} for one in found]


def table_wire(table: ImageTable | None) -> dict[str, Any] | None:
    """Return the partition table inside an image."""
    if table is None:
        return None
    return {
        "kind": table.kind,
        "sector_bytes": table.sector_size,
        "boots_uefi": table.boots_uefi,
        "boots_bios": table.boots_bios,
        "partitions": [
            {
                "number": part.number,
                "start_bytes": part.start,
                "size_bytes": part.size,
                "type": part.type,
                "name": part.name,
            }
            for part in table.partitions
        ],
    }


def plan_wire(
    plan: FlashPlan,
    found: Sequence[Refused],
    warned: Sequence[str],
    provisioner: Provisioner | None = None,
) -> dict[str, Any]:
    """Return a plan with the reasons against it."""
    image = plan.image
    return {
        "image": {
            "source": str(image.source),
            "name": image.name,
            "format": image.format,
            "size_bytes": image.size,
            "virtual_size_bytes": image.virtual_size,
            "sha256": plan.digest.digest.hex if plan.digest else None,
            "sha256_from": plan.digest.origin if plan.digest else None,
            "partition_table": table_wire(image.table),
        },
        "disk": disk_wire(plan.disk),
        "options": {"verify": plan.options.verify, "fix_gpt": plan.options.fix_gpt},
        "provisioning": {
            "mode": provisioner.mode if provisioner else ProvisioningMode.NONE,
            "steps": list(provisioner.steps) if provisioner else [],
        },
        "refusals": refusals_wire(found),
        "warnings": list(warned),
    }
