"""The mkosi that builds: the machine's own, a named one, or Debian 13's in bty's cache."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from bty_core.errors import BtyError, ProgramMissing
from bty_core.proc import run
from bty_media.host.debian import Mirror, fetch_packages

OLDEST = (25, 3)
_NAMED = "BTY_MKOSI"
_FETCHED = "mkosi"


@dataclass(frozen=True, slots=True)
class Mkosi:
    """How mkosi is started, and which version answers."""

    words: tuple[str, ...]
    version: str


def fetched(cache: Path) -> Path:
    """Return the folder into which `fetch` puts mkosi."""
    return cache / _FETCHED


def fetch(cache: Path, mirror: Mirror) -> None:
    """Put Debian 13's mkosi into bty's cache; raise `NoMirror` where that cannot be."""
    shutil.rmtree(fetched(cache), ignore_errors=True)
    fetch_packages(["mkosi"], fetched(cache), mirror)


def find_mkosi(cache: Path) -> Mkosi:
    """Return the first mkosi that is new enough; raise `ProgramMissing` with what was found instead."""
    rejected = []
    for words in _candidates(cache):
        try:
            said = run([*words, "--version"], timeout=60).strip()
        except BtyError as error:
            rejected.append(error.message)
            continue
        numbers = re.search(r"(\d+)(?:\.(\d+))?", said)
        if numbers and (int(numbers[1]), int(numbers[2] or 0)) >= OLDEST:
            return Mkosi(tuple(words), numbers[0])
        version = said.partition("\n")[0].removeprefix("mkosi ")
        rejected.append(f"{words[0]} is version {version}")
    found = f": {'; '.join(rejected)}" if rejected else ""
    raise ProgramMissing(
        f"mkosi {'.'.join(map(str, OLDEST))} or newer is not installed{found}",
        hint="bty-media doctor --fix fetches it; on Debian 13: apt install mkosi",
    )


def _candidates(cache: Path) -> list[list[str]]:
    found = []
    if named := os.environ.get(_NAMED):
        found.append([named])
    elif installed := shutil.which("mkosi"):
        found.append([installed])
    modules = fetched(cache) / "usr/lib/python3/dist-packages"
    if modules.is_dir():
        # Its own interpreter has to be one under /usr, or mkosi does not find it from inside its sandbox.
        python = shutil.which("python3", path="/usr/bin") or sys.executable
        found.append(["env", f"PYTHONPATH={modules}", python, "-m", "mkosi"])
    return found
