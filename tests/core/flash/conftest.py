"""Disks for the tests of the engine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def partitioned(loop_disk: Path) -> Path:
    """A disk with a GPT at both ends and file systems on it."""
    script = b"label: gpt\nstart=1MiB, size=4MiB\nstart=5MiB\n"
    subprocess.run(
        ["sfdisk", "--quiet", str(loop_disk)], input=script, check=True, capture_output=True
    )
    return loop_disk
