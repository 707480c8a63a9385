"""Builds every medium twice, from empty caches and with the same epoch, and says whether the digests are the same.

`sudo nox -s lab -- repeat` runs it. It needs the mirror twice, 12 GB, and the time of two first builds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bty_media.manifest import Kind, read

EPOCH = "1790000000"


def main() -> int:
    """Build, compare, print a line for each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", type=Kind, default=list(Kind), help="all by default")
    kinds = parser.parse_args().kinds
    with tempfile.TemporaryDirectory(prefix="bty-repeat-", dir="/var/tmp") as name:
        first, second = (built(Path(name) / turn, kinds) for turn in ("first", "second"))
    for what in sorted(first.keys() | second.keys()):
        same = first.get(what) == second.get(what)
        print(f"{what}: {'the same' if same else 'DIFFERENT'}")
    return 0 if first == second else 1


def built(folder: Path, kinds: list[Kind]) -> dict[str, str]:
    """Return the digest of each file of the builds, by kind and by its name without the version."""
    env = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    found: dict[str, str] = {}
    places = ["--output", str(folder / "media"), "--cache", str(folder / "cache")]
    doctor = [sys.executable, "-m", "bty_media", "doctor", "--fix", "--cache", places[3]]
    subprocess.run(doctor, check=True, env=env)
    for kind in kinds:
        words = [sys.executable, "-m", "bty_media", "build", kind.value, *places]
        subprocess.run(words, check=True, env=env)
        (made,) = (folder / "media").glob(f"{kind}-*")
        manifest = read(made)
        for name, file in manifest.files.items():
            found[f"{kind} {name.replace(manifest.version, 'VERSION')}"] = file.sha256
    return found


if __name__ == "__main__":
    sys.exit(main())
