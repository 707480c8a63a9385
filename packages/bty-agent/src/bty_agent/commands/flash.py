"""``bty flash``."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress

from bty_agent.console import Console
from bty_agent.exits import Exit
from bty_agent.render.envelope import envelope, plan_wire
from bty_agent.render.outcome import outcome
from bty_agent.render.plan import plan_lines
from bty_agent.render.progress import watcher
from bty_core.disks.find import find_disk
from bty_core.disks.model import Kind
from bty_core.errors import BtyError, InvalidValue, NeedsRoot, Refusals
from bty_core.events import Failed
from bty_core.flash.engine import flash
from bty_core.flash.plan import FlashOptions, FlashPlan, firmware, refusals, warnings
from bty_core.images.digest import KnownDigest, known_digest
from bty_core.images.inspect import inspect
from bty_core.images.locate import locate


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Show the plan, ask, and flash."""
    if arguments.json and not arguments.dry_run:
        raise InvalidValue(
            "--json belongs to --dry-run", hint="--progress ndjson reports a flash as JSON lines"
        )
    if not (arguments.dry_run or arguments.yes or console.can_ask):
        raise InvalidValue(
            "nobody is there to confirm the flash",
            hint="look at the plan with --dry-run, then say --yes",
        )
    with watcher(arguments.progress, console) as emit:
        try:
            plan = _plan(arguments)
            _judge(plan, arguments, console)
            if arguments.dry_run:
                return Exit.DONE
            if not (arguments.yes or _confirmed(plan, console)):
                console.say("bty: nothing was written")
                return Exit.USAGE
            done = flash(plan, emit)
        except BtyError as error:
            with suppress(
                OSError
            ):  # a reader of the events that has gone must not hide the failure
                emit(Failed(code=error.code, message=error.message, hint=error.hint))
            raise
    console.say(outcome(plan, done))
    return Exit.DONE


def _plan(arguments: argparse.Namespace) -> FlashPlan:
    disk = find_disk(arguments.target)
    image = inspect(locate(arguments.image), arguments.max_window)
    if arguments.sha256 is not None:
        digest: KnownDigest | None = KnownDigest(arguments.sha256, "--sha256")
    else:
        digest = known_digest(image.source)
    options = FlashOptions(
        verify=not arguments.no_verify, fix_gpt=arguments.fix_gpt, max_window=arguments.max_window
    )
    return FlashPlan(image=image, disk=disk, digest=digest, options=options)


def _judge(plan: FlashPlan, arguments: argparse.Namespace, console: Console) -> None:
    found = refusals(plan)
    if arguments.json:
        console.data(envelope("plan-flash", plan_wire(plan, found, warnings(plan, firmware()))))
    else:
        write = console.data if arguments.dry_run else console.say
        for line in plan_lines(plan, warnings(plan, firmware())):
            write(line)
    if found:
        error = Refusals(found)
        error.aftermath = f"nothing was written to {plan.disk.path}"
        raise error
    if not arguments.dry_run and plan.disk.kind is not Kind.FILE and os.geteuid() != 0:
        raise NeedsRoot(f"writing to {plan.disk.path} needs root", hint="run it again with sudo")


def _confirmed(plan: FlashPlan, console: Console) -> bool:
    answer = console.ask(f"Erase {plan.disk.path} and write {plan.image.name}? [y/N]")
    return answer.lower() in ("y", "yes")
