"""What this machine lacks to build media, each thing tried and not guessed."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bty_core.errors import BtyError, CommandFailed, NeedsRoot, ProgramMissing
from bty_core.proc import find, run
from bty_core.values import GIB, size_text
from bty_media.builder.wheels import PYTHON
from bty_media.commands.build import ROOM
from bty_media.errors import CannotBuild, NoMirror
from bty_media.host.debian import KEYRING, RELEASE, Mirror, mirror_of
from bty_media.host.mkosi import find_mkosi
from bty_media.manifest import Kind

_TIMEOUT = 120.0
# What mkosi takes from the host before it has a tree of tools, and what bty does beside it.
_TO_BUILD = ("apt-get", "dpkg", "dpkg-deb", "tar", "zstd")
_TO_WRITE = ("blkid", "losetup", "lsblk", "mkfs.exfat", "mount", "sfdisk")
_APT_HELPER = "/usr/lib/apt/apt-helper"
_OUTPUT_ROOM = 2 * GIB
_WHEEL = "xxhash"  # small, needed by every image, and compiled
STICKS = "sticks"
SECURE_BOOT = (
    "stick and server start with Secure Boot on; network boot needs it off for now:"
    " Debian has no signed iPXE"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; `failure` is None where nothing is wrong with it.

    Nothing can be built without what is `needed`; the rest is for what is done with a build.
    """

    what: str
    told: str
    failure: BtyError | None = None
    needed: bool = True

    def wire(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "what": self.what,
            "ready": self.failure is None,
            "needed_to_build": self.needed,
            "message": self.told,
            "code": self.failure.code if self.failure else None,
            "hint": self.failure.hint if self.failure else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody means to build with; the mirror is None for the one that apt uses."""

    cache: Path
    output: Path
    mirror: str | None


def examine(wanted: Wanted) -> Iterator[Finding]:
    """Look at one thing after the other; some take seconds."""
    looks: list[tuple[str, Callable[[Wanted], str]]] = [
        ("root", _root),
        ("mounts", _mounts),
        ("mkosi", _mkosi),
        ("programs", _programs),
        ("keys", _keys),
        ("mirror", _mirror),
        ("wheels", _wheels),
        ("cache", _cache),
        ("output", _output),
        (STICKS, _sticks),
    ]
    for what, look in looks:
        needed = what != STICKS
        try:
            yield Finding(what=what, told=look(wanted), needed=needed)
        except BtyError as error:
            yield Finding(what=what, told=error.message, failure=error, needed=needed)


def _root(_wanted: Wanted) -> str:
    if os.geteuid() != 0:
        raise NeedsRoot(
            "building needs root: an image holds files of many owners", hint="run it with sudo"
        )
    return "this is root"


def _mounts(_wanted: Wanted) -> str:
    """Whether a program may have mounts of its own, as mkosi's sandbox has."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    try:
        run(["unshare", *user, "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], timeout=_TIMEOUT)
    except CommandFailed as error:
        raise CannotBuild(
            f"mkosi cannot have mounts of its own here: {error.message}",
            hint="in a container, start it with --privileged, or build on the host itself",
        ) from error
    return "a program may have mounts of its own"


def _mkosi(wanted: Wanted) -> str:
    found = find_mkosi(wanted.cache)
    return f"mkosi {found.version}: {' '.join(found.words)}"


def _programs(_wanted: Wanted) -> str:
    _insist(_TO_BUILD, "building")
    return ", ".join(_TO_BUILD)


def _sticks(_wanted: Wanted) -> str:
    _insist(_TO_WRITE, "bty-media write")
    return ", ".join(_TO_WRITE)


def _insist(programs: tuple[str, ...], what: str) -> None:
    missing: list[ProgramMissing] = []
    for program in programs:
        try:
            find(program)
        except ProgramMissing as error:
            missing.append(error)
    if missing:
        packages = sorted({(one.hint or "").rpartition(" ")[2] for one in missing})
        names = ", ".join(one.message.partition(" ")[0] for one in missing)
        raise ProgramMissing(
            f"{what} needs what is not installed: {names}",
            hint=f"install it: apt install {' '.join(packages)}",
        )


def _keys(_wanted: Wanted) -> str:
    if not KEYRING.is_file():
        raise ProgramMissing(
            f"the keys of Debian are not installed: there is no {KEYRING}",
            hint="install them: apt install debian-archive-keyring",
        )
    return str(KEYRING)


def _mirror(wanted: Wanted) -> str:
    """Whether what apt would fetch first is there; apt's own way, so that its proxies are used."""
    mirror = mirror_of(wanted.mirror)
    suites = [(mirror.archive, RELEASE)]
    if mirror.security:
        suites.append((mirror.security, f"{RELEASE}-security"))
    with tempfile.TemporaryDirectory(prefix="bty-") as folder:
        for place, suite in suites:
            address = f"{place.rstrip('/')}/dists/{suite}/InRelease"
            try:
                fetch = [_APT_HELPER, "-oAPT::Sandbox::User=root", "download-file", address]
                run([*fetch, Path(folder, suite)], timeout=_TIMEOUT)
            except CommandFailed as error:
                raise NoMirror(
                    f"{place} cannot be asked for {suite}: {error.message}",
                    hint="look at the network, or name another mirror with --mirror URL",
                ) from error
    return _named(mirror)


def _named(mirror: Mirror) -> str:
    security = f", and {mirror.security}" if mirror.security else ", without updates for security"
    return f"{mirror.archive} has {RELEASE}{security}"


def _wheels(_wanted: Wanted) -> str:
    """Whether pip finds a compiled package for the Python of the images."""
    pip = [sys.executable, "-m", "pip"]
    try:
        run([*pip, "--version"], timeout=_TIMEOUT)
    except CommandFailed as error:
        raise ProgramMissing(
            f"{sys.executable} has no pip, which fetches the Python packages of an image",
            hint="install it: apt install python3-pip",
        ) from error
    with tempfile.TemporaryDirectory(prefix="bty-") as folder:
        words = ["--quiet", "--disable-pip-version-check", "--retries", "1", "--no-deps"]
        words += ["--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON]
        words += ["--platform", "manylinux2014_x86_64", "--dest", folder, _WHEEL]
        try:
            run([*pip, "download", *words], timeout=_TIMEOUT)
        except CommandFailed as error:
            raise NoMirror(
                f"pip finds no packages for Python {PYTHON}: {error.message[-300:]}",
                hint=f"pip download {_WHEEL} shows what is wrong; pip config sets another index",
            ) from error
    return f"pip finds packages for Python {PYTHON}"


def _cache(wanted: Wanted) -> str:
    there = _existing(wanted.cache)
    if os.statvfs(there).f_flag & os.ST_NOEXEC:
        raise CannotBuild(
            f"nothing may be executed in {there}, where the tools of a build would be",
            hint="name a folder on another filesystem with --cache DIR",
        )
    free = shutil.disk_usage(there).free
    built = (wanted.cache / "built").is_dir()
    least, most = ROOM[Kind.USB], ROOM[Kind.SERVER]
    if free < least and not built:
        raise CannotBuild(
            f"there is too little room for a build: {size_text(free)} free in {wanted.cache},"
            f" {size_text(least)} wanted",
            hint="make room, or name another folder with --cache DIR",
        )
    enough = "" if free >= most or built else f", and the server wants {size_text(most)}"
    return f"{size_text(free)} free in {wanted.cache}{enough}"


def _output(wanted: Wanted) -> str:
    free = shutil.disk_usage(_existing(wanted.output)).free
    if free < _OUTPUT_ROOM:
        raise CannotBuild(
            f"there is too little room for what is built: {size_text(free)} free in {wanted.output},"
            f" {size_text(_OUTPUT_ROOM)} wanted",
            hint="make room, or name another folder with --output DIR",
        )
    return f"{size_text(free)} free in {wanted.output}"


def _existing(folder: Path) -> Path:
    """Return `folder`, or the nearest one above it that is there."""
    folder = folder.absolute()
    return next(one for one in (folder, *folder.parents) if one.is_dir())
