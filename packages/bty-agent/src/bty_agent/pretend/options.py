"""``--pretend`` and ``--scratch``, and the computer that they mean."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from bty_agent.host import Host, ThisComputer
from bty_agent.pretend.host import Pretended
from bty_agent.pretend.read import read_machine
from bty_core.errors import InvalidValue

# One folder for each process, removed at its end.
_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []


def chosen_host(arguments: argparse.Namespace, say: Callable[[str], None]) -> Host:
    """Return this computer, or the machine that `arguments` pretend; `say` takes lines for the person.

    Where a machine is pretended, the options that nobody gave (`run_dir`, `cmdline`) become its own, so that nothing
    of this computer is mixed with it. Raises `InvalidValue`.
    """
    if arguments.pretend is None:
        if arguments.scratch is not None:
            raise InvalidValue("--scratch belongs to --pretend")
        return ThisComputer()
    machine = read_machine(arguments.pretend)
    folder = _folder(arguments.scratch)
    if getattr(arguments, "run_dir", ...) is None:
        arguments.run_dir = folder / "run"
    if getattr(arguments, "cmdline", ...) is None:
        arguments.cmdline = folder / "cmdline"
        arguments.cmdline.write_text(f"{machine.command_line}\n", encoding="utf-8")
    where = f"in {folder}" if arguments.scratch else "that are removed at the end"
    say(f"bty: this machine is pretended: {machine.name}; its disks are files {where}")
    return Pretended(machine, folder, say)


def _folder(wanted: Path | None) -> Path:
    if wanted is None:
        _FOLDERS.append(tempfile.TemporaryDirectory(prefix="bty-pretended-"))
        return Path(_FOLDERS[-1].name)
    try:
        wanted.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidValue(f"{wanted} cannot be used: {error.strerror}") from error
    return wanted
