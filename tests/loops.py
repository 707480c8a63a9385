"""Loop devices: the only real disks that a test touches."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bty_core.errors import CommandFailed
from bty_core.proc import run

PATIENCE = 10.0  # seconds


def attach(backing: Path, *, sector: int = 512, read_only: bool = False) -> Path:
    """Return a loop device whose content is the file `backing`.

    Another program may take the free device that losetup found, and in a container the node of a
    new one may be missing: both are mended and tried again for `PATIENCE` seconds.
    """
    # Buffered, so that a backing file on any filesystem will do, also one without O_DIRECT.
    argv = ["losetup", "--find", "--show", "--direct-io=off", f"--sector-size={sector}"]
    argv += ["--read-only"] * read_only
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return Path(run([*argv, backing], timeout=30).strip())
        except CommandFailed:
            if time.monotonic() > until:
                raise
            _make_missing_nodes()
            time.sleep(0.2)


def detach(disk: Path) -> None:
    """Give the loop device back; on return the kernel has let go of the backing file."""
    if not _attached(disk):
        return
    until = time.monotonic() + PATIENCE
    run(["losetup", "--detach", disk], timeout=30)
    # The kernel detaches at the last close: somebody may still be looking at the disk.
    while _attached(disk):
        if time.monotonic() > until:
            raise AssertionError(f"{disk} is still attached: somebody holds it open")
        time.sleep(0.05)


def _attached(disk: Path) -> bool:
    return Path("/sys/block", disk.name, "loop").is_dir()


def _make_missing_nodes() -> None:
    for known in Path("/sys/block").glob("loop*"):
        node = Path("/dev", known.name)
        if not node.exists():
            major, _, minor = (known / "dev").read_text().partition(":")
            os.mknod(node, 0o60660, os.makedev(int(major), int(minor)))
