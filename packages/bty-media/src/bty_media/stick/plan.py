"""The plan of a stick: everything known before the first write, and every reason against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bty_core.disks.model import Kind
from bty_core.errors import Refused
from bty_core.flash import plan as flashing
from bty_core.flash.plan import FlashPlan
from bty_core.images.table import ImageTable, TableKind
from bty_core.stick.errors import NotAStick
from bty_core.stick.layout import IMAGES_NAME, LIVE_NAME, Layout, layout_of
from bty_core.values import size_text
from bty_media.errors import StickTooSmall
from bty_media.stick.additions import Addition, cluster_of, room_of


@dataclass(frozen=True, slots=True, kw_only=True)
class StickPlan:
    """Which image goes onto which disk, and which images onto the partition behind it.

    `layout` is None where there is no room for that partition, and `cramped` says so.
    """

    flash: FlashPlan
    layout: Layout | None
    cramped: Refused | None
    additions: Sequence[Addition]


def stick_plan(flash: FlashPlan, additions: Sequence[Addition]) -> StickPlan:
    """Return the plan; raise `NotAStick` where the image is no stick of bty."""
    image, disk = flash.image, flash.disk
    if not _is_stick(image.table):
        raise NotAStick(
            f"{image.name} is no image of a stick: it has no partition '{LIVE_NAME}'",
            hint="bty-media build usb makes one; bty flash writes any other image",
        )
    assert image.table is not None
    if image.virtual_size is None:  # and so nobody knows where images may begin
        raise NotAStick(
            f"{image.name} does not say how large the stick in it is",
            hint=f"unpack it first: {image.format} -d {image.name}",
        )
    size = max(disk.size, image.virtual_size) if disk.kind is Kind.FILE else disk.size
    try:
        layout, cramped = layout_of(disk.path, _as_sfdisk(image.table), size), None
    except NotAStick as error:
        layout, cramped = None, error
    return StickPlan(flash=flash, layout=layout, cramped=cramped, additions=additions)


def refusals(plan: StickPlan) -> list[Refused]:
    """Return every reason for which the plan must not run; none means go."""
    found = flashing.refusals(plan.flash)
    if not plan.additions or found:
        return found
    if plan.layout is None:
        return [plan.cramped] if plan.cramped else []
    wanted = sum(one.room(cluster_of(plan.layout.size)) for one in plan.additions)
    room = max(room_of(plan.layout.size), 0)
    if wanted <= room:
        return []
    return [
        StickTooSmall(
            f"the images take {size_text(wanted)}, and {IMAGES_NAME} on {plan.flash.disk.path}"
            f" has room for {size_text(room)}",
            hint="leave one away, or take a larger stick",
        )
    ]


def warnings(plan: StickPlan) -> list[str]:
    """Return what a careful person should know."""
    found = flashing.warnings(plan.flash, None)
    if plan.cramped and not plan.additions:
        found.append(f"{plan.cramped.message}: there will be no {IMAGES_NAME}")
    if any(part.label == IMAGES_NAME for part in plan.flash.disk.partitions):
        found.append(f"the images that are in {IMAGES_NAME} on it now go as well")
    return found


def partition_lines(plan: StickPlan) -> list[str]:
    """Return what is made behind the live environment, as lines of the plan."""
    if plan.layout is None:
        return []
    return [
        f"then     {IMAGES_NAME}, {size_text(plan.layout.size)} for images",
        *(f"         {one.name}, {size_text(one.source.size)}" for one in plan.additions),
    ]


def _is_stick(table: ImageTable | None) -> bool:
    return (
        table is not None
        and table.kind is TableKind.GPT
        and any(part.name == LIVE_NAME for part in table.partitions)
    )


def _as_sfdisk(table: ImageTable) -> dict[str, object]:
    """Return a table in the words of sfdisk, which cannot read it in a compressed image."""
    sector = table.sector_size
    return {
        "label": "gpt",
        "sectorsize": sector,
        "partitions": [
            {
                "node": f"p{part.number}",
                "name": part.name or "",
                "start": part.start // sector,
                "size": part.size // sector,
            }
            for part in table.partitions
        ],
    }
