"""What is kept of a test that failed: what was said on consoles and by programs, and the last screens."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.system.lab.firmware import ROOT

FOLDER = ROOT / ".nox" / "lab" / "failed"
_WORTH_IT = (".log", ".png", ".conf", ".leases")
_LARGE = 4 << 20  # bytes


def keep_logs(made: Path, test: str) -> Path:
    """Copy the logs and screens below `made`, the folder of a test, and return the folder that they are in."""
    kept = FOLDER / re.sub(r"[^A-Za-z0-9.-]+", "_", test.rpartition("/")[2])
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for path in sorted(made.rglob("*")):
        if path.suffix in _WORTH_IT and path.is_file() and path.stat().st_size < _LARGE:
            name = "-".join(path.relative_to(made).parts)
            shutil.copyfile(path, kept / name)
    return kept
