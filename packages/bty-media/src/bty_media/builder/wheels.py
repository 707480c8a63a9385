"""bty's own programs as a tree that goes into an image: /opt/bty, and links to it in /usr/bin."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from bty_core.errors import CommandFailed
from bty_core.proc import run
from bty_media import __version__
from bty_media.builder.request import Request
from bty_media.errors import BuildFailed

PREFIX = Path("/opt/bty")
PYTHON = "3.13"  # of Debian 13
# Whose commands an image offers.
_OURS = ("bty-agent", "bty-core", "bty-web", "cijoe")
# glibc of Debian 13 is 2.41: a wheel for any older one runs.
_PLATFORMS = ("manylinux2014", *(f"manylinux_2_{minor}" for minor in range(17, 42)))
_TIMEOUT = 1800.0


def checkout() -> Path | None:
    """Return the folder of bty's packages: of the checkout that this runs from, or that one stands in; else None."""
    for found in (Path(__file__).resolve().parents[4], Path.cwd() / "packages"):
        if (found / "bty-core" / "pyproject.toml").is_file():
            return found
    return None


def stage(request: Request, packages: Sequence[str], name: str) -> Path:
    """Return a tree with `packages` (such as ``bty-agent[cijoe]``) and all that they need.

    No code of the image is run: pip of this machine unpacks wheels for the image's Python. From a checkout
    its own packages are taken, otherwise the release of this bty-media. Raises `BuildFailed`.
    """
    tree = request.cache / "trees" / name
    made_of = _fingerprint(packages)
    stamp = tree.with_suffix(".made-of")
    if tree.is_dir() and stamp.exists() and stamp.read_text() == made_of:
        return tree
    request.say(f"{name}: wheels of {', '.join(packages)}")
    shutil.rmtree(tree, ignore_errors=True)
    site = tree / PREFIX.relative_to("/") / f"lib/python{PYTHON}/site-packages"
    site.mkdir(parents=True)
    try:
        _install(request, packages, site)
    except CommandFailed as error:
        raise BuildFailed(
            f"the wheels for the image cannot be got: {error.message[-2000:]}",
            hint="pip of this machine has to reach its index; without a released bty-media, build in the folder"
            " of its sources",
        ) from error
    shutil.rmtree(site / "bin", ignore_errors=True)
    _programs(tree, site)
    stamp.write_text(made_of)
    return tree


def python_packages(tree: Path) -> list[tuple[str, str]]:
    """Return name and version of each Python package in a tree, sorted."""
    site = next((tree / PREFIX.relative_to("/")).glob("lib/python*/site-packages"))
    found = importlib.metadata.distributions(path=[str(site)])
    return sorted((one.metadata["Name"], one.version) for one in found)


def _install(request: Request, packages: Sequence[str], site: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheels = request.cache / "wheels"
    words = ["--find-links", str(wheels)]
    if folder := checkout():
        shutil.rmtree(wheels, ignore_errors=True)
        sources = [str(folder / one) for one in ("bty-core", "bty-agent", "bty-web")]
        build = ["env", f"SOURCE_DATE_EPOCH={request.epoch}", *pip, "wheel", "--no-deps"]
        run([*build, "--wheel-dir", str(wheels), *sources], timeout=_TIMEOUT)
        constraints = folder.parent / "constraints.txt"
        if constraints.is_file():
            words += ["--constraint", str(constraints)]
    words += ["--python-version", PYTHON, "--implementation", "cp", "--only-binary=:all:"]
    for platform in _PLATFORMS:
        words += ["--platform", f"{platform}_x86_64"]
    wanted = [f"{package}=={__version__}" for package in packages]
    run([*pip, "install", "--no-compile", "--target", str(site), *words, *wanted], timeout=_TIMEOUT)


def _programs(tree: Path, site: Path) -> None:
    """Write the commands of our packages, and the interpreter that they name, as a virtual environment has them."""
    prefix = tree / PREFIX.relative_to("/")
    (prefix / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON}\n"
    )
    programs = prefix / "bin"
    commands = tree / "usr/bin"
    programs.mkdir()
    commands.mkdir(parents=True)
    (programs / "python3").symlink_to("/usr/bin/python3")
    for package in importlib.metadata.distributions(path=[str(site)]):
        if package.metadata["Name"] not in _OURS:
            continue
        for entry in package.entry_points.select(group="console_scripts"):
            program = programs / entry.name
            program.write_text(
                f"#!{PREFIX}/bin/python3\n"
                f"import sys\nfrom {entry.module} import {entry.attr.partition('.')[0]}\n"
                f"sys.exit({entry.attr}())\n"
            )
            program.chmod(0o755)
            (commands / entry.name).symlink_to(PREFIX / "bin" / entry.name)


def _fingerprint(packages: Sequence[str]) -> str:
    """Return what a tree is made of, as one digest: of the sources in a checkout, else of the release."""
    digest = hashlib.sha256(f"{__version__} {PYTHON} {' '.join(packages)}\n".encode())
    folder = checkout()
    if folder:
        files = [folder.parent / "constraints.txt"]
        for one in ("bty-core", "bty-agent", "bty-web"):
            files.append(folder / one / "pyproject.toml")
            for where, folders, names in os.walk(folder / one / "src"):
                folders[:] = sorted(name for name in folders if name != "__pycache__")
                files += [Path(where) / name for name in sorted(names)]
        for file in files:
            if file.is_file():
                digest.update(f"{file.relative_to(folder.parent)}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
