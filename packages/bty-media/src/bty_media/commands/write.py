"""``bty-media write``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bty_core.disks.find import find_disk
from bty_core.disks.model import Kind as DiskKind
from bty_core.errors import BtyError, Cancelled, InvalidValue, NeedsRoot, Refusals
from bty_core.flash.engine import flash
from bty_core.flash.plan import FlashOptions, FlashPlan
from bty_core.flash.words import outcome, plan_lines
from bty_core.images.digest import known_digest
from bty_core.images.file import FileSource
from bty_core.images.inspect import inspect
from bty_core.program.console import Console, plain
from bty_core.stick.layout import IMAGES_NAME
from bty_core.stick.prepare import prepare
from bty_core.values import size_text
from bty_media.builds import newest
from bty_media.exits import Exit
from bty_media.manifest import MANIFEST, Kind, read
from bty_media.progress import counting, watching
from bty_media.stick.additions import read_additions
from bty_media.stick.device import as_device, insist_on_exfat
from bty_media.stick.fill import compare, copy_onto
from bty_media.stick.plan import StickPlan, partition_lines, refusals, stick_plan, warnings


def run(arguments: argparse.Namespace, console: Console) -> Exit:
    """Show the plan, ask, write the stick, and put images onto it."""
    if not (arguments.dry_run or arguments.yes or console.can_ask):
        raise InvalidValue(
            "nobody is there to confirm that the disk is erased",
            hint="look at the plan with --dry-run, then say --yes",
        )
    plan = _plan(arguments)
    _judge(plan, arguments, console)
    if arguments.dry_run:
        return Exit.DONE
    title = plan.flash.disk.title
    if not (arguments.yes or console.confirmed(f"Erase {title} and make it a stick of bty?")):
        console.say(f"bty-media: nothing was written to {plan.flash.disk.path}")
        return Exit.USAGE
    with watching(console) as emit:
        done = flash(plan.flash, emit)
    console.say(f"bty-media: {outcome(plan.flash, done)}")
    _fill(plan, console)
    return Exit.DONE


def _plan(arguments: argparse.Namespace) -> StickPlan:
    source = FileSource(_image(arguments))
    additions = read_additions(arguments.add)
    image = inspect(source)
    # The GPT of the stick is to end where the stick ends, also where there is no room for images.
    options = FlashOptions(fix_gpt=True)
    disk = find_disk(arguments.disk)
    flashing = FlashPlan(image=image, disk=disk, digest=known_digest(source), options=options)
    return stick_plan(flashing, additions)


def _image(arguments: argparse.Namespace) -> Path:
    """Return the file with the stick: the one that is named, or that of a build."""
    given: Path | None = arguments.image
    if given is not None and not given.is_dir():
        return given
    folder = given or newest(arguments.output, Kind.USB).folder
    manifest = read(folder)
    if manifest.kind is not Kind.USB:
        raise InvalidValue(
            f"{folder} holds a build of {manifest.kind}, not of a stick",
            hint="bty-media list shows which builds are there",
        )
    if len(manifest.files) != 1:
        raise InvalidValue(f"{folder / MANIFEST} names {len(manifest.files)} files, not one image")
    return folder / next(iter(manifest.files))


def _judge(plan: StickPlan, arguments: argparse.Namespace, console: Console) -> None:
    write = console.data if arguments.dry_run else console.say
    shown = plan_lines(plan.flash, [])
    shown += map(plain, partition_lines(plan))
    shown += [f"warning  {plain(one)}" for one in warnings(plan)]
    for line in shown:
        write(line)
    untouched = f"nothing was written to {plan.flash.disk.path}"
    if found := refusals(plan):
        error = Refusals(found)
        error.aftermath = untouched
        raise error
    if arguments.dry_run:
        return
    of_file = plan.flash.disk.kind is DiskKind.FILE
    if os.geteuid() != 0 and (plan.additions or not of_file):
        what = f"putting images into {plan.flash.disk.path}" if of_file else "writing a stick"
        raise NeedsRoot(f"{what} needs root", hint="run it again with sudo")
    if plan.additions:
        insist_on_exfat()


def _fill(plan: StickPlan, console: Console) -> None:
    """Make the partition for images, and put the images onto it."""
    if plan.layout is None:
        return
    if os.geteuid() != 0:  # a regular file, and no images
        console.say(f"bty-media: {IMAGES_NAME} will be made when the stick starts a machine")
        return
    with _boots_already(), as_device(plan.flash.disk) as device:
        ready = prepare(device, fresh=True)
        console.say(f"bty-media: {IMAGES_NAME} has {size_text(ready.size)} for images")
        if not plan.additions:
            return
        total = sum(one.source.size for one in plan.additions)
        with counting(console, "copying", total) as tick:
            digests = copy_onto(ready.partition, plan.additions, tick)
        with counting(console, "comparing", total) as tick:
            compare(ready.partition, digests, tick)
    for name, digest in digests.items():
        console.say(f"bty-media: {plain(name)} is on the stick, read back and equal")
        console.say(f"      sha256:{digest}")


@contextmanager
def _boots_already() -> Iterator[None]:
    """Say of a failure that the live environment is on the stick by now."""
    try:
        yield
    except (BtyError, KeyboardInterrupt) as failure:
        error = failure if isinstance(failure, BtyError) else Cancelled("interrupted")
        error.aftermath = "the stick boots; its images are not whole: write it again, or copy them"
        raise error from failure.__cause__
