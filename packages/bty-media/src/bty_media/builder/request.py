"""What is to be built, and with what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bty_media.host.debian import Mirror
from bty_media.host.mkosi import Mkosi

DEFINITIONS = Path(__file__).resolve().parents[1] / "definitions"
KERNELS = {"generic": "linux-image-amd64", "cloud": "linux-image-cloud-amd64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One build. `say` takes lines for the person who waits for it."""

    mkosi: Mkosi
    mirror: Mirror
    output: Path  # the folder that builds are put into
    cache: Path  # what later builds can use again
    epoch: int  # seconds since 1970: the time that everything in the build has
    kernel: str = "generic"
    arch: str = "amd64"
    ssh_key: Path | None = None
    extra_packages: tuple[str, ...] = ()
    say: Callable[[str], None] = lambda _line: None
