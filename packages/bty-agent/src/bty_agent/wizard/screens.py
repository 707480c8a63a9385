"""What each step shows above its question: a state in, lines out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

from bty_agent.wizard.answers import Trouble
from bty_agent.wizard.menus import MODES
from bty_agent.wizard.offers import Origin, now_on
from bty_agent.wizard.steps import State, Step
from bty_core.disks.words import disk_facts
from bty_core.flash.words import INDENT, outcome
from bty_core.images.words import stored_facts, table_facts
from bty_core.program.console import plain
from bty_core.values import size_text

WIDTH = 79  # columns; some terminals wrap as soon as the 80th is written

# What a person sees of the way, and the steps that are on each part of it.
WAY: tuple[tuple[str, frozenset[Step]], ...] = (
    ("Image", frozenset({Step.LOOK_IMAGES, Step.NO_SERVER, Step.IMAGE})),
    ("Disk", frozenset({Step.LOOK_DISKS, Step.DISK})),
    ("Set up", frozenset({Step.PROVISIONING})),
    ("Check", frozenset({Step.PLAN, Step.SUMMARY, Step.NAME})),
    ("Write", frozenset({Step.WRITE, Step.NO_TURN, Step.FAILED})),
    ("Done", frozenset({Step.OFFER_LOCAL, Step.SET_LOCAL, Step.RESULT, Step.TELL, Step.UNTOLD})),
)

Line = tuple[str, str]  # a style of rich, the text

GOOD, BAD, WARN, STRONG, FAINT = "green", "red", "yellow", "bold", "cyan"


def way(state: State) -> list[tuple[str, bool]]:
    """Return the parts of the way, and which one this is; the step to set up only where there is a choice."""
    at = state.came_from if state.step in (Step.LEAVE, Step.SHELL) else state.step
    several = len(state.setups) > 1
    return [(name, at in steps) for name, steps in WAY if several or name != "Set up"]


def body(state: State, root: Path, width: int = WIDTH) -> list[Line]:
    """Return the lines above the question, wrapped to `width` columns."""
    lines: list[Line] = []
    for style, text, indent in _said(state, root):
        hanging = " " * indent
        folded = wrap(
            text,
            width,
            subsequent_indent=hanging,
            break_on_hyphens=False,
            drop_whitespace=True,
        )
        lines += [(style, part) for part in folded or [""]]
    while lines and not lines[-1][1]:
        lines.pop()
    return lines


def farewell(state: State) -> list[Line]:
    """Return what stays on the terminal when the wizard has ended."""
    if state.done is not None and state.plan is not None:
        name, path = state.plan.image.name, state.plan.disk.path
        lines = [(GOOD, f"bty: {plain(name)} is on {path}")]
        if state.told is False:
            lines.append((WARN, f"     {state.server} has not been told of it"))
        return lines
    if state.trouble is not None and state.trouble.aftermath:
        return [(WARN, f"bty: {plain(state.trouble.aftermath)}")]
    return [("", "bty: nothing was written")]


# What these steps say and the trouble itself are one text.
_ABOUT_TROUBLE = (Step.FAILED, Step.NO_TURN, Step.NO_SERVER)
_Said = Iterator[tuple[str, str, int]]


def _said(state: State, root: Path) -> _Said:
    lines = list(_of_step(state, root))
    yield from lines
    if lines and (state.trouble or state.note) and state.step not in _ABOUT_TROUBLE:
        yield "", "", 0
    yield from _trouble(state.trouble)
    if state.note:
        yield WARN, plain(state.note), 0


def _of_step(state: State, root: Path) -> _Said:
    match state.step:
        case Step.NOTICE:
            yield from _notice(state)
        case Step.NO_SERVER:
            yield WARN, f"The server {state.server} has no images to give now.", 0
        case Step.IMAGE:
            yield from _images(state, root)
        case Step.DISK | Step.PROVISIONING:
            yield from _chosen(state)
        case Step.SUMMARY | Step.NAME:
            yield from _summary(state)
        case Step.NO_TURN:
            yield WARN, f"{state.server} cannot say whether this machine may write now.", 0
        case Step.FAILED:
            yield BAD, "The image is not on the disk.", 0
        case Step.OFFER_LOCAL | Step.RESULT | Step.UNTOLD:
            yield from _result(state)
        case Step.LEAVE if state.done is None:
            yield "", "Nothing was written.", 0
        case _:
            pass


def _trouble(trouble: Trouble | None) -> _Said:
    if trouble is None:
        return
    for message in trouble.messages:
        yield BAD, plain(message), 0
    if trouble.hint:
        yield "", f"hint: {plain(trouble.hint)}", 6
    if trouble.aftermath:
        yield STRONG, plain(trouble.aftermath), 0


def _notice(state: State) -> _Said:
    yield BAD, "This machine was to be flashed by itself, and that failed.", 0
    yield from _trouble(state.notice)
    yield "", "", 0
    yield "", "Here it can be flashed by hand, which the server sees as an attempt of its own.", 0


def _images(state: State, root: Path) -> _Said:
    of_server = state.origin is Origin.SERVER
    where = state.server if of_server else str(root)
    if not state.can_write:
        yield WARN, "Without root the wizard shows and writes nothing: run sudo bty-tui.", 0
    if state.images or state.trouble:
        yield "", f"The images of {plain(str(where))}", 0
    elif of_server:
        yield WARN, f"The server {plain(str(where))} has no images yet.", 0
        yield "", "Add one on its page Images, or on the server: bty-web import IMAGE", 0
    else:
        yield WARN, f"There are no images in {plain(str(where))}", 0
        yield "", "Copy disk images there: raw, qcow2, or compressed by gzip, xz, bzip2 or zstd.", 0
        yield "", "On a bty stick that is the partition BTY_IMAGES, which any computer can fill.", 0
        yield "", "Another folder: bty-tui --root FOLDER, or BTY_IMAGE_ROOT.", 0


def _chosen(state: State) -> _Said:
    image = state.image
    assert image is not None
    on_disk = image.virtual_size
    size = f"{size_text(on_disk)} on the disk" if on_disk is not None else "size not known"
    yield "", f"image  {plain(image.name)} ({size})", 7
    if state.step is Step.PROVISIONING and state.disk:
        yield "", f"disk   {plain(state.disk.title)}", 7
    elif not state.disks and not state.trouble:
        yield "", "", 0
        yield WARN, "This machine shows no disks.", 0
        yield "", "A driver may be missing: look with dmesg in the shell.", 0


def _summary(state: State) -> _Said:
    plan = state.plan
    assert plan is not None
    image, disk = plan.image, plan.disk
    yield "", f"image    {plain(image.name)}: {stored_facts(image)}", INDENT
    yield "", f"         {table_facts(image.table)}", INDENT
    if plan.digest:
        origin = plain(plan.digest.origin)
        yield "", f"digest   known from {origin}: {plan.digest.digest.hex[:16]}...", INDENT
    yield STRONG, f"disk     {plain(disk.path.name)}: {disk_facts(disk)}", INDENT
    yield STRONG, f"now      {now_on(disk)}", INDENT
    if len(state.setups) > 1:
        told = state.provisioner.steps if state.provisioner else (MODES[state.setup.mode],)
        yield "", f"set up   {plain(state.setup.title)}: {plain('; '.join(told))}", INDENT
    steps = "erase the disk, write the image, read it back and compare"
    yield "", f"plan     {steps}{', move the GPT backup' * plan.options.fix_gpt}", INDENT
    for sentence in state.warnings:
        yield WARN, f"warning  {plain(sentence)}", INDENT
    if not state.can_write:
        yield "", "", 0
        yield WARN, "Writing needs root: leave, and run sudo bty-tui. Nothing was written.", 0


def _result(state: State) -> _Said:
    assert state.plan is not None
    assert state.done is not None
    for line in outcome(state.plan, state.done).split("\n"):
        yield GOOD if line.startswith("done") else "", line, 6
    yield "", "", 0
    if state.told is False:
        yield WARN, f"The server {state.server} does not know yet that this flash is done;", 0
        yield WARN, "the report is tried again in the background.", 0
    elif state.told:
        yield "", f"The server {state.server} knows it.", 0
    if state.local_set:
        yield GOOD, "At its next network boot this machine starts from its own disk.", 0
    elif state.told and state.step is Step.RESULT:
        yield "", "Its boot policy is as it was.", 0
    elif state.server is None:
        yield "", "If the machine was started from a stick, take that out before a reboot.", 0
