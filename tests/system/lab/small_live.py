"""A live environment that starts within seconds: the real agent, and little else, in one initrd.

Kernel, drivers, Python and libraries are those of the live environment that `nox -s vm` has built; bty's own code is
that of this checkout. busybox stands for systemd: see `small_live.sh`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import lzma
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import zstandard

from bty_media.builder.live import CMDLINE
from bty_media.builder.newc import append_files
from tests.system.lab.firmware import ROOT
from tests.system.lab.media import FOLDER, locked, medium

_NAMED = (
    b"live/root.squashfs\0"  # as the builder of the network environment puts it into the initrd
)
_MODULES = ("failover", "net_failover", "virtio_net", "virtio_blk")
_PROGRAMS = ("usr/bin/python3.13", "usr/bin/lsblk", "usr/sbin/blkid")
_BUSYBOX = "usr/bin/busybox"
_STDLIB = "usr/lib/python3.13"
_SITE = "opt/bty/lib/python3.13/site-packages"
_LOADER = "usr/lib64/ld-linux-x86-64.so.2"
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_OURS = {"bty_core": "packages/bty-core/src", "bty_agent": "packages/bty-agent/src"}
_CONSOLE = ROOT / (
    "packages/bty-media/src/bty_media/definitions/mkosi.profiles/live/mkosi.extra/usr/lib/bty"
)
# What no part of the agent imports, and what is large.
_LEFT_OUT = re.compile(
    r"/(test|tests|unittest|pydoc_data|ensurepip|idlelib|lib2to3|turtledemo|pygments/(lexers|styles))/"
    r"|/lib-dynload/_(curses|dbm|gdbm|sqlite3|test|tkinter|xxtest|ctypes_test)|/lib-dynload/readline"
)
_ADDRESS = """\
#!/bin/busybox sh
[ "$1" = bound ] || exit 0
ip address add "$ip/$mask" dev "$interface"
[ -z "$router" ] || ip route add default via "$router"
"""
_SYSTEMCTL = """\
#!/bin/busybox sh
# Comes back at once, as systemd's does.
case $1 in
reboot | poweroff) (sleep 1 && /bin/busybox "$1" -f) & ;;
*) exit 1 ;;
esac
"""
_START = """\
#!/opt/bty/bin/python3
import sys
from {module} import {name}
sys.exit({name}())
"""


def small_live() -> Path:
    """Return the folder of the small live environment with its manifest; build it when it is old."""
    real = medium("pxe")
    made_of = _fingerprint(real)
    folder = FOLDER / f"small-{made_of}"
    with locked(FOLDER / "small.lock"):
        if not folder.is_dir():
            for old in FOLDER.glob("small-*"):
                shutil.rmtree(old)
            part = FOLDER / ".small.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            _build(real, part, made_of)
            part.rename(folder)
    return folder


def _build(real: Path, folder: Path, made_of: str) -> None:
    tree = folder / "tree"
    _unpack(real / "initrd.img", tree)
    _overlay(tree)
    own = folder / "own"
    files = {**_python(tree), **_drivers(tree, own), **_programs(tree), **_own(tree, own)}
    files |= _libraries(tree, [source for source, _ in files.values()])
    archive = io.BytesIO()
    append_files(archive, files, folders=["proc", "sys", "dev", "run", "root", "tmp", "bin"])
    initrd = folder / "initrd.img"
    # A BIOS loads less than 2 MB/s over a plain ROM.
    initrd.write_bytes(zstandard.ZstdCompressor(level=10).compress(archive.getvalue()))
    shutil.copyfile(real / "vmlinuz", folder / "vmlinuz")
    shutil.rmtree(tree)
    shutil.rmtree(own)
    described = {
        "version": f"small-{made_of}",
        "kernel": "vmlinuz",
        "initrd": initrd.name,
        "cmdline": CMDLINE,
        "files": {name: _described(folder / name) for name in ("vmlinuz", initrd.name)},
    }
    (folder / "manifest.json").write_text(json.dumps(described, indent=1))


def _unpack(initrd: Path, tree: Path) -> None:
    """Unpack the root that the network environment brings in its initrd."""
    content = initrd.read_bytes()
    found = content.rfind(_NAMED)
    assert found > 0, f"{initrd} holds no root: build it again"
    start = (found + len(_NAMED) + 3) & ~3
    words = ["unsquashfs", "-quiet", "-no-progress", "-no-xattrs", "-offset", str(start)]
    modules = [f"usr/lib/modules/*/kernel/*/{name}.ko.xz" for name in _MODULES]
    modules += [name.replace("/kernel/*/", "/kernel/*/*/") for name in modules]
    places = [*_PROGRAMS, _BUSYBOX, _LOADER, _LIBRARIES, _STDLIB, "opt/bty", *modules]
    _run(*words, "-dest", tree, initrd, *places)


def _overlay(tree: Path) -> None:
    """Put bty's code of this checkout over that of the medium."""
    for package, source in _OURS.items():
        target = tree / _SITE / package
        shutil.rmtree(target)
        shutil.copytree(
            ROOT / source / package, target, ignore=shutil.ignore_patterns("__pycache__")
        )
    python = (tree / _LOADER, "--library-path", tree / _LIBRARIES, tree / _PROGRAMS[0])
    env = {**os.environ, "PYTHONHOME": str(tree / "usr"), "PYTHONPATH": ""}
    places = [tree / _SITE / package for package in _OURS]
    _run(*python, "-s", "-m", "compileall", "-q", *places, env=env)


def _python(tree: Path) -> dict[PurePosixPath, tuple[Path, int]]:
    """Return the library and what the agent needs, compiled: emulated, a parser takes its time."""
    needed = {tree / _STDLIB, *(tree / _SITE / name for name in _needed(tree / _SITE))}
    files = {}
    for path in (each for place in sorted(needed) for each in _below(place)):
        name = PurePosixPath(path.relative_to(tree))
        if path.suffix == ".py" or _LEFT_OUT.search(f"/{name}"):
            continue
        if path.suffix == ".pyc":
            # Beside where its source would be, it is taken as it is.
            name = name.parent.parent / f"{path.name.partition('.')[0]}.pyc"
        files[name] = (path, 0o644)
    return files


def _needed(site: Path) -> set[str]:
    """Return the folders and files at the top of `site` that bty-agent and all that it needs have brought."""
    from packaging.requirements import Requirement

    known = {
        _plain(one.metadata["Name"]): one
        for one in importlib.metadata.distributions(path=[str(site)])
    }
    found: set[str] = set()
    wanted = ["bty-agent"]
    while wanted:
        name = _plain(wanted.pop())
        if name in found:
            continue
        found.add(name)
        for text in known[name].requires or []:
            one = Requirement(text)
            if one.marker is None or one.marker.evaluate({"python_version": "3.13", "extra": ""}):
                wanted.append(one.name)
    tops = {PurePosixPath(file).parts[0] for name in found for file in known[name].files or []}
    return {top for top in tops if (site / top).exists() and top not in ("..", "bin")}


def _drivers(tree: Path, own: Path) -> dict[PurePosixPath, tuple[Path, int]]:
    files = {}
    for name in _MODULES:
        (packed,) = (tree / "usr/lib/modules").rglob(f"{name}.ko.xz")
        source = own / f"{name}.ko"
        source.parent.mkdir(exist_ok=True)
        source.write_bytes(lzma.decompress(packed.read_bytes()))
        files[PurePosixPath(f"lib/modules/{name}.ko")] = (source, 0o644)
    return files


def _programs(tree: Path) -> dict[PurePosixPath, tuple[Path, int]]:
    files = {PurePosixPath(name): (tree / name, 0o755) for name in _PROGRAMS}
    files[PurePosixPath("usr/bin/python3")] = files.pop(PurePosixPath(_PROGRAMS[0]))
    files[PurePosixPath("bin/busybox")] = (tree / _BUSYBOX, 0o755)
    files[PurePosixPath("lib64/ld-linux-x86-64.so.2")] = ((tree / _LOADER).resolve(), 0o755)
    return files


def _own(tree: Path, own: Path) -> dict[PurePosixPath, tuple[Path, int]]:
    """Return the programs of bty, and what stands for systemd."""
    written = {"lib/bty/address": _ADDRESS, "usr/bin/systemctl": _SYSTEMCTL}
    (agent,) = importlib.metadata.distributions(name="bty-agent", path=[str(tree / _SITE)])
    for entry in agent.entry_points.select(group="console_scripts"):
        written[f"usr/bin/{entry.name}"] = _START.format(module=entry.module, name=entry.attr)
    files = {PurePosixPath("init"): (Path(__file__).with_suffix(".sh"), 0o755)}
    for name in ("console", "greeting"):
        files[PurePosixPath("usr/lib/bty") / name] = (_CONSOLE / name, 0o755)
    files[PurePosixPath("opt/bty/pyvenv.cfg")] = (tree / "opt/bty/pyvenv.cfg", 0o644)
    for name, text in written.items():
        source = own / name
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(text)
        files[PurePosixPath(name)] = (source, 0o755)
    return files


def _libraries(tree: Path, files: Iterable[Path]) -> dict[PurePosixPath, tuple[Path, int]]:
    """Return the libraries that programs and modules of Python among `files` are linked with."""
    found = {}
    for path in files:
        with path.open("rb") as content:
            if content.read(4) != b"\x7fELF" or path.suffix == ".ko":
                continue
        loader: list[str | Path] = [tree / _LOADER, "--library-path", tree / _LIBRARIES]
        ran = subprocess.run([*loader, "--list", path], capture_output=True, text=True, timeout=60)
        for line in ran.stdout.splitlines():  # static programs are no business of the loader
            name, _, where = line.strip().partition(" => ")
            assert where != "not found", f"{path} needs {name}"
            if where:
                library = Path(where.rpartition(" (")[0]).resolve()
                found[PurePosixPath("usr/lib/x86_64-linux-gnu") / Path(name).name] = (
                    library,
                    0o755,
                )
    return found


def _below(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    else:
        yield from sorted(path for path in place.rglob("*") if path.is_file())


def _described(path: Path) -> dict[str, str | int]:
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return {"sha256": digest, "size": path.stat().st_size}


def _fingerprint(real: Path) -> str:
    digest = hashlib.sha256((real / "manifest.json").read_bytes())
    sources = [*Path(__file__).parent.glob("small_live.*"), _CONSOLE / "console"]
    for source in _OURS.values():
        sources += sorted((ROOT / source).rglob("*.py"))
    for path in sources:
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _run(*argv: str | Path, env: dict[str, str] | None = None) -> None:
    ran = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=300)
    assert ran.returncode == 0, f"{argv[0]}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}"
