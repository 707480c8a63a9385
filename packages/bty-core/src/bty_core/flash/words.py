"""A flash in words: its plan, as a careful person can check it, and the last line."""

from __future__ import annotations

from collections.abc import Sequence

from bty_core.disks.model import Kind
from bty_core.disks.words import contents, disk_facts
from bty_core.events import Done
from bty_core.flash.plan import FlashPlan
from bty_core.images.words import image_facts
from bty_core.program.console import plain
from bty_core.values import size_text

INDENT = 9  # columns of the word in front


def plan_lines(plan: FlashPlan, warned: Sequence[str], afterwards: Sequence[str] = ()) -> list[str]:
    """Return the plan, line by line; what is wrapped goes on at `INDENT`.

    `afterwards` is what is set up on the disk when it holds the image.
    """
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
    for number, step in enumerate(afterwards):
        lines.append(f"{'' if number else 'then':<{INDENT}}{plain(step)}")
    lines += [f"warning  {plain(sentence)}" for sentence in warned]
    return [part for line in lines for part in line.split("\n")]


def outcome(plan: FlashPlan, done: Done) -> str:
    """Return what was done, how fast, and the digest to keep."""
    total = done.bytes_written + done.bytes_skipped
    rate = size_text(round(total / max(done.seconds, 0.001)))
    checked = "read back and equal" if done.verified else "not read back"
    digest = f"sha256:{done.sha256}" if done.sha256 else "digest not computed"
    stale = (
        ""
        if done.table_read
        else "\n      the kernel still shows the old partitions: reboot before using them"
    )
    setup = f"\n      {plain(done.provisioned)}" if done.provisioned else ""
    return (
        f"done: {plain(plan.image.name)} is on {plain(str(plan.disk.path))}, {checked}\n"
        f"      {size_text(done.bytes_written)} written, {size_text(done.bytes_skipped)} of zeros skipped,"
        f" {done.seconds:.1f} s, {rate}/s\n"
        f"      {digest}{stale}{setup}"
    )


def _steps(plan: FlashPlan) -> str:
    steps = ["erase all that is on it", "write the image"]
    if plan.options.verify:
        steps.append("read it back and compare")
    if plan.options.fix_gpt:
        steps.append("move the GPT backup to its end")
    return ", ".join(steps)
