"""The last line of a flash."""

from __future__ import annotations

from bty_core.events import Done
from bty_core.flash.plan import FlashPlan
from bty_core.program.console import plain
from bty_core.values import size_text


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
    return (
        f"done: {plain(plan.image.name)} is on {plain(str(plan.disk.path))}, {checked}\n"
        f"      {size_text(done.bytes_written)} written, {size_text(done.bytes_skipped)} of zeros skipped,"
        f" {done.seconds:.1f} s, {rate}/s\n"
        f"      {digest}{stale}"
    )
