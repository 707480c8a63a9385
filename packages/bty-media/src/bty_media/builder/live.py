"""The live environment: one system, as a stick and as files for machines that boot from the network."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path, PurePosixPath

from bty_media.builder.mkosi import build_profile
from bty_media.builder.newc import append_files
from bty_media.builder.outcome import Outcome, debian_packages, place, version_of
from bty_media.builder.request import Request
from bty_media.builder.wheels import python_packages, stage
from bty_media.errors import BuildFailed
from bty_media.manifest import File, Kind

_PROFILE = "live"
_PACKAGES = ("bty-agent[cijoe]", "bty-core")
# ttyS0 last: it is the console of the kernel. A second serial console would keep the first one away.
CMDLINE = "console=tty0 console=ttyS0,115200 systemd.gpt_auto=0 quiet"


def build_usb(request: Request) -> Path:
    """Build the stick's image, and return the folder that it lies in."""
    built, tree = _build(request)
    version = version_of(request, File.of(_root_alone(built)))
    stick = built / "stick.img"
    shutil.copyfile(built / "live.raw", stick)
    made = Outcome(
        kind=Kind.USB,
        version=version,
        files={f"bty-usb-{version}.img": stick},
        packages=debian_packages(built, _PROFILE),
        python_packages=python_packages(tree),
    )
    return place(request, made)


def build_pxe(request: Request) -> Path:
    """Build what machines load from the network, and return the folder that it lies in.

    The root goes into the initrd: the firmware's one download brings everything, and nothing in the
    machine has to find network card, address and server a second time.
    """
    built, tree = _build(request)
    root = _root_alone(built)
    version = version_of(request, File.of(root))
    kernel, initrd = built / "vmlinuz", built / "initrd.img"
    shutil.copyfile(built / "live.vmlinuz", kernel)
    with initrd.open("wb") as archive:
        for part in ("live.microcode", "live.initrd"):
            if (built / part).exists():
                archive.write((built / part).read_bytes())
        append_files(archive, {PurePosixPath("live/root.squashfs"): (root, 0o644)})
    made = Outcome(
        kind=Kind.PXE,
        version=version,
        files={kernel.name: kernel, initrd.name: initrd},
        packages=debian_packages(built, _PROFILE),
        python_packages=python_packages(tree),
        boot={"kernel": kernel.name, "initrd": initrd.name, "cmdline": CMDLINE},
    )
    return place(request, made)


def _build(request: Request) -> tuple[Path, Path]:
    tree = stage(request, _PACKAGES, _PROFILE)
    trees = [tree]
    if request.ssh_key:
        trees.append(_key_tree(request))
    return build_profile(request, _PROFILE, trees), tree


def _root_alone(built: Path) -> Path:
    """Return the root without the room that its partition on the stick has for later versions.

    Where a squashfs ends stands in its first block (little-endian, Documentation/filesystems/squashfs.rst of Linux).
    """
    root = built / "root.squashfs"
    shutil.copyfile(built / "live.root.raw", root)
    with root.open("r+b") as file:
        magic, used = struct.unpack("<4s36xQ", file.read(48))
        if magic != b"hsqs":
            raise BuildFailed(f"{root} is no squashfs", hint="this is a bug of bty-media")
        file.truncate(-(-used // 4096) * 4096)
    return root


def _key_tree(request: Request) -> Path:
    """Return a tree with the key that may log in as root over SSH."""
    assert request.ssh_key is not None
    tree = request.cache / "trees" / "live-key"
    shutil.rmtree(tree, ignore_errors=True)
    folder = tree / "root/.ssh"
    folder.mkdir(parents=True, mode=0o700)
    shutil.copyfile(request.ssh_key, folder / "authorized_keys")
    (folder / "authorized_keys").chmod(0o600)
    return tree
