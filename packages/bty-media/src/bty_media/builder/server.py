"""The server appliance."""

from __future__ import annotations

import shutil
from pathlib import Path

from bty_core.proc import run
from bty_media.builder.live import build_pxe
from bty_media.builder.mkosi import build_profile
from bty_media.builder.outcome import Outcome, debian_packages, place, version_of
from bty_media.builder.request import Request
from bty_media.builder.wheels import python_packages, stage
from bty_media.manifest import MANIFEST, File, Kind, read

_PROFILE = "server"
_PACKAGES = ("bty-web[cijoe]", "bty-core")
_COMPRESSION_SECONDS = 3600.0


def build_server(request: Request) -> Path:
    """Build the server's disk image with the network environment inside; return the folder that it lies in."""
    live = _live_tree(request, build_pxe(request))
    tree = stage(request, _PACKAGES, _PROFILE)
    built = build_profile(request, _PROFILE, [tree, live])
    disk = built / "server.raw"
    version = version_of(request, File.of(disk))
    packed = built / "server.img.zst"
    request.say(f"{_PROFILE}: compressing")
    run(
        ["zstd", "--quiet", "--force", "-T0", "-12", disk, "-o", packed],
        timeout=_COMPRESSION_SECONDS,
    )
    made = Outcome(
        kind=Kind.SERVER,
        version=version,
        files={f"bty-server-{version}.img.zst": packed},
        packages=debian_packages(built, _PROFILE),
        python_packages=python_packages(tree),
    )
    return place(request, made)


def _live_tree(request: Request, pxe: Path) -> Path:
    """Return a tree with the network environment where the server's first start looks for it."""
    tree = request.cache / "trees" / "server-live"
    place = tree / "usr/share/bty/live"
    place.mkdir(parents=True, exist_ok=True)
    for old in place.iterdir():
        old.unlink()
    for name in (MANIFEST, *read(pxe).files):
        shutil.copyfile(pxe / name, place / name)
    return tree
