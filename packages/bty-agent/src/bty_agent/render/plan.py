"""The plan of a flash, as a careful person can check it."""

from __future__ import annotations

from collections.abc import Sequence

from bty_agent.render.words import contents, disk_facts
from bty_core.disks.model import Kind
from bty_core.flash.plan import FlashPlan
from bty_core.images.inspect import Image
from bty_core.images.table import ImageTable
from bty_core.program.console import plain
from bty_core.values import size_text

INDENT = 9  # columns of the word in front


def plan_lines(plan: FlashPlan, warned: Sequence[str]) -> list[str]:
    """Return the plan, line by line; what is wrapped goes on at `INDENT`."""
    digest = "not known"
    if plan.digest:
        digest = f"{plan.digest.digest}\n         from {plain(plan.digest.origin)}"
    lines = [
        f"image    {plain(str(plan.image.source))}",
        f"         {image_facts(plan.image)}",
        f"digest   {digest}",
        f"disk     {plain(str(plan.disk.path))}",
        f"         {disk_facts(plan.disk)}",
    ]
    if plan.disk.kind is not Kind.FILE:
        lines.append(f"now      {contents(plan.disk)}")
    lines.append(f"plan     {_steps(plan)}")
    lines += [f"warning  {plain(sentence)}" for sentence in warned]
    return [part for line in lines for part in line.split("\n")]


def image_facts(image: Image) -> str:
    """Return format, sizes and partition table of an image."""
    return f"{stored_facts(image)}, {table_facts(image.table)}"


def stored_facts(image: Image) -> str:
    """Return format and sizes of an image."""
    stored = f"{size_text(image.size)}" if image.size is not None else "of unknown size"
    disk = (
        f"{size_text(image.virtual_size)} on the disk"
        if image.virtual_size is not None
        else "size on the disk unknown"
    )
    return f"{image.format}, {stored}, {disk}"


def table_facts(table: ImageTable | None) -> str:
    """Return what a partition table holds and what boots from it."""
    if table is None:
        return "no partition table"
    boots = [name for name, can in (("UEFI", table.boots_uefi), ("BIOS", table.boots_bios)) if can]
    count = len(table.partitions)
    return f"{table.kind} with {count} partition{'' if count == 1 else 's'}" + (
        f", boots on {' and '.join(boots)}" if boots else ""
    )


def _steps(plan: FlashPlan) -> str:
    steps = ["erase all that is on it", "write the image"]
    if plan.options.verify:
        steps.append("read it back and compare")
    if plan.options.fix_gpt:
        steps.append("move the GPT backup to its end")
    return ", ".join(steps)
