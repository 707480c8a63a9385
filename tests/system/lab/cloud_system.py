"""A real Debian with cloud-init, built as the media are; tools/lab_systems.py does it."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

from bty_media.builder.mkosi import build_image
from bty_media.builder.request import Request
from bty_media.commands.build import epoch
from bty_media.host.debian import mirror_of
from bty_media.host.mkosi import find_mkosi
from tests.system.lab.media import FOLDER

_DEFINITIONS = Path(__file__).parent / "cloud"


def cloud_image() -> Path:
    """Return the image, packed; fail where it was not built."""
    image = _place()
    assert image.exists(), f"there is no {image}: ./dev test vm builds it"
    return image


def build(cache: Path, say: Callable[[str], None]) -> Path:
    """Build the image where it is not there, and return it; `say` takes lines about how far it is. Needs root."""
    image = _place()
    if image.exists():
        return image
    image.parent.mkdir(parents=True, exist_ok=True)
    for old in image.parent.glob("cloud-*"):
        old.unlink()
    request = Request(
        mkosi=find_mkosi(cache),
        mirror=mirror_of(None),
        output=FOLDER,
        cache=cache.absolute(),
        epoch=epoch(),
        say=say,
    )
    built = build_image(request, _DEFINITIONS, "cloud")
    part = image.with_suffix(".part")
    words = ["zstd", "--quiet", "--force", "-T0", "-3", str(built / "cloud.raw"), "-o", str(part)]
    subprocess.run(words, check=True, timeout=600)
    part.rename(image)
    return image


def _place() -> Path:
    """Return where the image is: another one where it is made of something else."""
    made_of = hashlib.sha256()
    for path in sorted(_DEFINITIONS.rglob("*")):
        if path.is_file():
            made_of.update(str(path.relative_to(_DEFINITIONS)).encode() + path.read_bytes())
    return FOLDER / "systems" / f"cloud-{made_of.hexdigest()[:12]}.img.zst"
