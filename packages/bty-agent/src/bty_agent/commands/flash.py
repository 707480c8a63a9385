"""``bty flash``."""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bty_agent.console import Console
from bty_agent.exits import Exit
from bty_agent.host import Host
from bty_agent.pretend.options import chosen_host
from bty_agent.provisioning import check_options, provisioner_of
from bty_agent.render.envelope import plan_wire
from bty_agent.render.progress import watcher
from bty_core.disks.model import Kind
from bty_core.errors import BtyError, Cancelled, InvalidValue, NeedsRoot, Refusals
from bty_core.events import Emit, Failed
from bty_core.flash.plan import FlashOptions, FlashPlan, refusals, warnings
from bty_core.flash.words import INDENT, outcome, plan_lines
from bty_core.images.digest import KnownDigest, known_digest
from bty_core.images.inspect import inspect
from bty_core.images.locate import locate
from bty_core.machine.efi import entry_refusals
from bty_core.proc import find as find_program
from bty_core.program.console import plain
from bty_core.program.envelope import envelope
from bty_core.provisioning.job import Provisioner


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Show the plan, ask, and flash."""
    with watcher(arguments.progress, console) as emit, _failure_told(emit):
        with _untouched():
            _check(arguments, console)
            host = chosen_host(arguments, console.say)
            provisioner = provisioner_of(arguments)
            plan = _plan(arguments, host)
            _judge(plan, provisioner, arguments, console, host)
            if arguments.dry_run:
                return Exit.DONE
            if not (arguments.yes or _confirmed(plan, console)):
                console.say(f"bty: nothing was written to {plan.disk.path}")
                return Exit.USAGE
        done = host.flash(plan, emit, threading.Event(), provisioner)
    console.say(outcome(plan, done), indent=6)
    return _boot_once(plan, console, host) if arguments.uefi_entry else Exit.DONE


def _boot_once(plan: FlashPlan, console: Console, host: Host) -> Exit:
    """Make the boot entry; what fails now does not undo the flash."""
    try:
        console.say(f"bty: {plain(host.boot_once(plan.disk, plan.image.name))}", indent=5)
    except BtyError as error:
        console.say(f"bty: the image is on the disk, but {plain(error.message)}", indent=5)
        if error.hint:
            console.say(f"     hint: {plain(error.hint)}", indent=11)
        return Exit.PROVISIONING_FAILED
    return Exit.DONE


@contextmanager
def _untouched() -> Iterator[None]:
    """Say of an interrupt that nothing was written."""
    try:
        yield
    except KeyboardInterrupt:
        error = Cancelled("interrupted")
        error.aftermath = "nothing was written"
        raise error from None


@contextmanager
def _failure_told(emit: Emit) -> Iterator[None]:
    """Make `Failed` the last event of whatever fails, before the engine starts too."""
    try:
        yield
    except BaseException as failure:
        known = failure if isinstance(failure, BtyError) else None
        code = known.code if known else BtyError.code
        message = known.message if known else f"{type(failure).__name__}: {failure}"
        with suppress(OSError):  # a reader of the events that has gone must not hide the failure
            emit(Failed(code=code, message=message, hint=known.hint if known else None))
        raise


def _check(arguments: argparse.Namespace, console: Console) -> None:
    """Refuse what makes no sense before anything is read."""
    check_options(arguments)
    if arguments.json and not arguments.dry_run:
        raise InvalidValue(
            "--json belongs to --dry-run", hint="--progress ndjson reports a flash as JSON lines"
        )
    if arguments.json and arguments.progress == "ndjson":
        raise InvalidValue(
            "--json and --progress ndjson both write to standard output", hint="choose one of them"
        )
    if not (arguments.dry_run or arguments.yes or console.can_ask):
        raise InvalidValue(
            "nobody is there to confirm the flash",
            hint="look at the plan with --dry-run, then say --yes",
        )


def _plan(arguments: argparse.Namespace, host: Host) -> FlashPlan:
    disk = host.find(arguments.target)
    image = inspect(locate(arguments.image), arguments.max_window)
    if arguments.sha256 is not None:
        digest: KnownDigest | None = KnownDigest(arguments.sha256, "--sha256")
    else:
        digest = known_digest(image.source)
    options = FlashOptions(
        verify=not arguments.no_verify, fix_gpt=arguments.fix_gpt, max_window=arguments.max_window
    )
    return FlashPlan(image=image, disk=disk, digest=digest, options=options)


def _judge(
    plan: FlashPlan,
    provisioner: Provisioner | None,
    arguments: argparse.Namespace,
    console: Console,
    host: Host,
) -> None:
    found = refusals(plan)
    started_by = host.firmware.value
    if arguments.uefi_entry:
        found += entry_refusals(plan.disk, plan.image.table, started_by)
        if arguments.pretend is None:
            find_program("efibootmgr")
    # This machine does not start from a regular file.
    warned = warnings(plan, started_by if plan.disk.kind is not Kind.FILE else None)
    if provisioner is not None:
        found += provisioner.refusals(plan)
        warned += provisioner.warnings(plan)
    if arguments.json:
        console.data(envelope("plan-flash", plan_wire(plan, found, warned, provisioner)))
    else:
        # A plan that was asked for is data, unless standard output belongs to the events.
        asked = arguments.dry_run and arguments.progress != "ndjson"
        write = console.page if asked else console.say
        for line in plan_lines(plan, warned, provisioner.steps if provisioner else ()):
            write(line, indent=INDENT)
    if found:
        error = Refusals(found)
        error.aftermath = f"nothing was written to {plan.disk.path}"
        raise error
    if arguments.dry_run:
        return
    if provisioner is not None and plan.disk.kind is Kind.FILE and os.geteuid():
        raise NeedsRoot(
            "provisioning mounts the filesystem of the disk, and needs root",
            hint="run it again with sudo",
        )
    if plan.disk.kind is not Kind.FILE and not host.can_write:
        raise NeedsRoot(f"writing to {plan.disk.path} needs root", hint="run it again with sudo")


def _confirmed(plan: FlashPlan, console: Console) -> bool:
    disk = plain(plan.disk.title)
    answer = console.ask(f"Erase {disk} and write {plain(plan.image.name)}? [y/N]")
    return answer.lower() in ("y", "yes")
