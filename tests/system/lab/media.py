"""The media that the flows are tried with: built once for a run, and shared."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.system.lab.firmware import ROOT
from tests.system.lab.small_system import build

# What `nox -s vm` has built; another folder can be named.
FOLDER = Path(os.environ.get("BTY_LAB_MEDIA", ROOT / ".nox" / "lab" / "media"))


def medium(kind: str) -> Path:
    """Return the newest build of a kind (``usb``, ``pxe``, ``server``); fail where there is none."""
    found = sorted(FOLDER.glob(f"{kind}-*/manifest.json"), key=lambda path: path.stat().st_mtime)
    assert found, f"{FOLDER} holds no build of {kind}: ./dev test vm builds it"
    return found[-1].parent


def stick_image() -> Path:
    """Return the image of the stick."""
    (image,) = medium("usb").glob("*.img")
    return image


def small_system(name: str, ballast: int = 0) -> Path:
    """Return the image of the small system called `name`, which boots and says so; see `build` for `ballast`."""
    image = FOLDER / "systems" / f"{name}.img"
    with locked(FOLDER / "systems.lock"):
        if not image.exists():
            image.parent.mkdir(exist_ok=True)
            part = build(image.with_suffix(".part"), name, medium("pxe") / "vmlinuz", ballast)
            part.rename(image)
    return image


def packed(image: Path) -> Path:
    """Return `image` in zstd, as a catalog mostly has it."""
    result = image.with_name(f"{image.name}.zst")
    with locked(FOLDER / "systems.lock"):
        if not result.exists():
            words = ["zstd", "--quiet", "--force", str(image), "-o", str(result)]
            subprocess.run(words, check=True, timeout=120)
    return result


def put_images(stick: Path, *images: Path) -> None:
    """Make the partition for images on `stick`, a file, and copy `images` onto it with `bty-media write`'s means."""
    from bty_core.stick.prepare import prepare
    from tests.loops import attach, detach

    disk = attach(stick)
    try:
        partition = prepare(disk).partition
        folder = stick.with_suffix(".mnt")
        folder.mkdir()
        # The kernel of the test's computer may lack exFAT.
        subprocess.run(["mount.exfat-fuse", partition, folder], check=True, capture_output=True)
        try:
            for image in images:
                words = ["cp", str(image), str(folder)]
                subprocess.run(words, check=True, timeout=120)
        finally:
            subprocess.run(["umount", folder], check=True, timeout=120)
        subprocess.run(["delpart", disk, partition.name.rpartition("p")[2]], check=True)
    finally:
        detach(disk)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One at a time, of all the processes of a run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
