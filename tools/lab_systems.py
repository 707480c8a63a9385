"""Build the systems that machines of the lab are flashed with, where they are not there: for `nox -s vm`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.system.lab.cloud_system import build

if __name__ == "__main__":
    print(build(Path(sys.argv[1]), lambda line: print(f"lab: {line}", flush=True)))
