"""A fence around a workflow: it sees programs, one folder and the network, and no file or process of the server."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from bty_core import proc
from bty_core.errors import CommandFailed, ProgramMissing
from bty_web.online.errors import SandboxMissing

HOME = Path("/run/workflow")  # where the folder is, inside
_NOBODY = "65534"
_SYSTEM = ("/usr", "/etc/ssl", "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf")
_LINKS = ("bin", "lib", "lib64", "sbin")


def run(
    argv: Sequence[str | Path],
    folder: Path,
    variables: Mapping[str, str],
    log: Path,
    look: Callable[[], None],
    *,
    timeout: float,
) -> int | None:
    """Run `argv` in `folder`, which is all that it can write; return its status, None where time was up.

    `look` is called a few times a second; what it raises ends the program with all that it started.
    Raises `SandboxMissing` where nothing can be fenced in.
    """
    around = proc.Surroundings(folder=folder, variables={}, log=log)
    words = [*_fence(folder, _places_of_its_own()), *_setting(variables), "--", *argv]
    return proc.watch(words, around, look, timeout=timeout, contained=True)


def check() -> None:
    """Raise `SandboxMissing` where a program cannot be fenced in."""
    _places_of_its_own()


@cache
def _places_of_its_own() -> tuple[str, ...]:
    """Return what mounts the folders that each program has; raise `SandboxMissing`.

    A service whose own /proc is covered in part may mount no other one. Most programs need none.
    """
    places = ("--dev", "/dev", "--tmpfs", "/tmp")
    error: CommandFailed | None = None
    # Whom the kernel takes for root outside could change it there.
    proc_of_its_own = ("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys")
    for words in ((*proc_of_its_own, *places), places):
        try:
            proc.run([*_fence(None, words), "--", "/usr/bin/true"], timeout=30)
        except ProgramMissing as missing:
            raise SandboxMissing("bubblewrap is not installed", hint=missing.hint) from missing
        except CommandFailed as failure:
            error = failure
        else:
            return words
    raise SandboxMissing(
        f"workflows cannot be fenced in here: {error.message[-300:] if error else ''}",
        hint="let bubblewrap make user namespaces, or run the worker where it may",
    )


def _fence(folder: Path | None, places: tuple[str, ...]) -> list[str]:
    words = ["bwrap", "--unshare-all", "--share-net", "--die-with-parent", "--new-session"]
    words += ["--cap-drop", "ALL", "--clearenv", "--uid", _NOBODY, "--gid", _NOBODY, *places]
    for path in (*_SYSTEM, *_python()):
        words += ["--ro-bind-try", path, path]
    for name in _LINKS:
        if Path("/", name).is_symlink():
            words += ["--symlink", os.readlink(Path("/", name)), f"/{name}"]
        elif Path("/", name).is_dir():
            words += ["--ro-bind", f"/{name}", f"/{name}"]
    if folder is not None:
        words += ["--bind", str(folder), str(HOME), "--chdir", str(HOME)]
    return words


def _python() -> list[str]:
    """Return where this Python and its packages are, as far as that is not part of the system."""
    places = {sys.prefix, sys.base_prefix}
    real = {*places, *(os.path.realpath(one) for one in places)}
    return sorted(one for one in real if not one.startswith("/usr"))


def _setting(variables: Mapping[str, str]) -> list[str]:
    known = {
        "HOME": str(HOME),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "PYTHONUNBUFFERED": "1",
        **variables,
    }
    return [word for name, value in known.items() for word in ("--setenv", name, value)]
