"""``bty-media doctor``."""

from __future__ import annotations

import argparse

from bty_core.errors import BtyError, ProgramMissing
from bty_core.program.console import Console, plain
from bty_core.program.envelope import envelope
from bty_media.exits import Exit, exit_for
from bty_media.host.debian import mirror_of
from bty_media.host.doctor import SECURE_BOOT, Finding, Wanted, examine
from bty_media.host.mkosi import fetch, find_mkosi

_COLUMN = 10  # of what was looked at


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Look at what a build needs, and say how to get what is missing."""
    wanted = Wanted(cache=arguments.cache, output=arguments.output, mirror=arguments.mirror)
    if arguments.fix:
        _fix(wanted, console)
    found: list[Finding] = []
    for one in examine(wanted):
        found.append(one)
        if not arguments.json:
            _show(one, console)
    lacking = [one for one in found if one.failure and one.needed]
    if arguments.json:
        facts = {"ready": not lacking, "findings": [one.wire() for one in found]}
        console.data(envelope("doctor", {**facts, "notes": [SECURE_BOOT]}))
    else:
        console.data(f"{'note':<8}{SECURE_BOOT}")
    for one in lacking:
        assert one.failure is not None
        console.say(f"bty-media: not ready to build: {', '.join(each.what for each in lacking)}")
        return exit_for(one.failure)
    return Exit.DONE


def _fix(wanted: Wanted, console: Console) -> None:
    """Fetch what can be had without touching what is installed; what fails is not the end of the look."""
    try:
        find_mkosi(wanted.cache)
    except ProgramMissing:
        try:
            mirror = mirror_of(wanted.mirror)
            fetch(wanted.cache, mirror)
        except BtyError as error:
            console.say(f"bty-media: {error.message}")
        except PermissionError as error:
            console.say(f"bty-media: mkosi cannot be put into {wanted.cache}: {error.strerror}")
        else:
            console.say(f"bty-media: fetched mkosi from {mirror.archive} into {wanted.cache}")


def _show(finding: Finding, console: Console) -> None:
    state = "missing" if finding.failure else "ok"
    console.data(f"{state:<8}{finding.what:<{_COLUMN}}{plain(finding.told)}")
    if finding.failure and finding.failure.hint:
        console.data(f"{'':<{8 + _COLUMN}}hint: {finding.failure.hint}")
