"""The wizard as a machine of steps: a state and an answer in, the next state out. Nothing is read, drawn or written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum, auto
from typing import Any

from bty_agent.wizard.answers import (
    Answer,
    BadDisk,
    BadImage,
    BadSetup,
    Disks,
    Images,
    Judged,
    LocalSet,
    NoServer,
    NoTurn,
    NotWrote,
    PickDisk,
    PickImage,
    PickSetup,
    Press,
    Returned,
    Stayed,
    Told,
    Trouble,
    Typed,
    Wrote,
)
from bty_agent.wizard.offers import NOTHING, Offer, Origin, Setup, holds_something, why_not
from bty_core.disks.model import Disk
from bty_core.events import Done
from bty_core.flash.plan import FlashPlan
from bty_core.provisioning.job import Provisioner


class Step(StrEnum):
    """Where the wizard is. The program answers the steps in `WORK`, a person all others."""

    NOTICE = auto()  # something happened before the wizard, and is told first
    LOOK_IMAGES = auto()
    NO_SERVER = auto()
    IMAGE = auto()
    LOOK_DISKS = auto()
    DISK = auto()
    PROVISIONING = auto()
    PLAN = auto()
    SUMMARY = auto()
    NAME = auto()
    WRITE = auto()
    NO_TURN = auto()
    OFFER_LOCAL = auto()
    SET_LOCAL = auto()
    RESULT = auto()
    TELL = auto()
    UNTOLD = auto()
    FAILED = auto()
    SHELL = auto()
    LEAVE = auto()
    END = auto()


WORK = frozenset(
    {
        Step.LOOK_IMAGES,
        Step.LOOK_DISKS,
        Step.PLAN,
        Step.WRITE,
        Step.SET_LOCAL,
        Step.TELL,
        Step.SHELL,
    }
)


class Ending(StrEnum):
    """How the wizard ends."""

    LEFT = auto()
    REBOOT = auto()
    BOOT_ONCE = auto()  # a boot entry for the disk that is used once, then a reboot
    POWER_OFF = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that the wizard knows."""

    step: Step = Step.LOOK_IMAGES
    came_from: Step = Step.IMAGE  # where "no" leads from LEAVE, and the end of a shell
    origin: Origin = Origin.LOCAL
    server: str | None = None  # its address, where there is one
    uefi: bool = False
    can_write: bool = True
    setups: tuple[Setup, ...] = (NOTHING,)
    images: tuple[Offer, ...] = ()
    disks: tuple[Disk, ...] = ()
    removable: bool = False  # removable disks may be chosen
    image: Offer | None = None
    disk: Disk | None = None
    setup: Setup = NOTHING
    plan: FlashPlan | None = None
    provisioner: Provisioner | None = None
    warnings: tuple[str, ...] = ()
    turn: bool = True  # the server is asked for one before the write
    done: Done | None = None
    told: bool | None = None  # the server knows of the flash; None where there is none
    local_set: bool = False
    notice: Trouble | None = None  # what happened before the wizard
    trouble: Trouble | None = None  # what is told above the question
    note: str | None = None  # one sentence above the question
    ending: Ending = Ending.LEFT


def advance(state: State, answer: Answer) -> State:
    """Return the state that `answer` leads to; an answer that has no meaning in this step changes nothing."""
    if answer is Press.LEAVE:
        return _leave(state)
    if answer is Press.SHELL:
        return replace(state, step=Step.SHELL, came_from=state.step)
    return _RULES[state.step](state, answer) or state


# What was told above a question goes when the question is answered.
def _go(state: State, step: Step, **known: Any) -> State:
    return replace(state, step=step, **{"note": None, "trouble": None, **known})


def _end(state: State, ending: Ending) -> State:
    return replace(state, step=Step.END, came_from=state.step, ending=ending)


# Where a step that the program answers is interrupted, and the person stays.
_RESTART = {Step.PLAN: Step.LOOK_DISKS, Step.SET_LOCAL: Step.OFFER_LOCAL, Step.TELL: Step.RESULT}


def _leave(state: State) -> State:
    """Ask once; whoever presses Ctrl-C at that question means it."""
    if state.step in (Step.LEAVE, Step.END):
        return replace(state, step=Step.END, ending=Ending.LEFT)
    came_from = _RESTART.get(state.step, state.step)
    return replace(state, step=Step.LEAVE, came_from=came_from)


def _leaving(state: State, answer: Answer) -> State | None:
    match answer:
        case Press.YES:
            return replace(state, step=Step.END, ending=Ending.LEFT)
        case Press.NO | Press.BACK:
            return replace(state, step=state.came_from)
        case _:
            return None


def _shell(state: State, answer: Answer) -> State | None:
    """Whatever was done in the shell, what it may have changed is looked at again."""
    again = {Step.DISK: Step.LOOK_DISKS, Step.IMAGE: Step.LOOK_IMAGES}
    if answer == Returned():
        return replace(state, step=again.get(state.came_from, state.came_from))
    return None


def _ended(state: State, answer: Answer) -> State | None:
    match answer:
        case Stayed(trouble):
            return replace(state, step=state.came_from, trouble=trouble)
        case _:
            return None


def _notice(state: State, answer: Answer) -> State | None:
    match answer:
        case Press.YES | Press.BACK:
            return _go(state, Step.LOOK_IMAGES, notice=None)
        case Press.REBOOT:
            return _end(state, Ending.REBOOT)
        case _:
            return None


def _look_images(state: State, answer: Answer) -> State | None:
    match answer:
        case Images(images, reason):
            return replace(state, step=Step.IMAGE, images=images, note=reason or state.note)
        case NoServer(trouble):
            return _go(state, Step.NO_SERVER, trouble=trouble, images=())
        case BadImage(trouble):
            return _go(state, Step.IMAGE, trouble=trouble, images=())
        case _:
            return None


def _no_server(state: State, answer: Answer) -> State | None:
    match answer:
        case Press.AGAIN:
            return _go(state, Step.LOOK_IMAGES)
        case Press.USE_LOCAL:
            return _go(state, Step.LOOK_IMAGES, origin=Origin.LOCAL)
        case Press.BACK:
            return _leave(state)
        case _:
            return None


def _image(state: State, answer: Answer) -> State | None:
    match answer:
        case PickImage(image) if image in state.images and image.problem:
            note = f"{image.name} cannot be written: {image.problem}"
            return _go(state, Step.IMAGE, note=note)
        case PickImage(image) if image in state.images:
            return _go(state, Step.LOOK_DISKS, image=image)
        case Press.REFRESH:
            return _go(state, Step.LOOK_IMAGES)
        case Press.USE_LOCAL:
            return _go(state, Step.LOOK_IMAGES, origin=Origin.LOCAL)
        case Press.USE_SERVER if state.server:
            return _go(state, Step.LOOK_IMAGES, origin=Origin.SERVER)
        case Press.BACK:
            return _leave(state)
        case _:
            return None


def _look_disks(state: State, answer: Answer) -> State | None:
    match answer:
        case Disks(disks, setups):
            return replace(state, step=Step.DISK, disks=disks, setups=setups)
        case BadDisk(trouble):
            return _go(state, Step.DISK, trouble=trouble, disks=())
        case _:
            return None


def _disk(state: State, answer: Answer) -> State | None:
    match answer:
        case PickDisk(disk) if disk in state.disks:
            if why := why_not(disk, state.image, removable=state.removable):
                return _go(state, Step.DISK, note=f"{disk.path.name} cannot be chosen: {why}")
            several = len(state.setups) > 1
            then = Step.PROVISIONING if several else Step.PLAN
            return _go(state, then, disk=disk, setup=state.setups[0])
        case Press.REFRESH:
            return _go(state, Step.LOOK_DISKS)
        case Press.REMOVABLE:
            return _go(state, Step.LOOK_DISKS, removable=not state.removable)
        case Press.BACK:
            return _go(state, Step.IMAGE)
        case _:
            return None


def _provisioning(state: State, answer: Answer) -> State | None:
    match answer:
        case PickSetup(setup) if setup in state.setups:
            return _go(state, Step.PLAN, setup=setup)
        case Press.BACK:
            return _go(state, Step.LOOK_DISKS)
        case _:
            return None


def _plan(state: State, answer: Answer) -> State | None:
    match answer:
        case Judged(plan, warnings, provisioner):
            known = {"plan": plan, "warnings": warnings, "provisioner": provisioner}
            return _go(state, Step.SUMMARY, turn=True, **known)
        case BadSetup(trouble):
            return _go(state, Step.PROVISIONING, trouble=trouble)
        case BadImage(trouble):
            return _go(state, Step.LOOK_IMAGES, trouble=trouble)
        case BadDisk(trouble):
            return _go(state, Step.LOOK_DISKS, trouble=trouble)
        case _:
            return None


def _summary(state: State, answer: Answer) -> State | None:
    match answer:
        case Press.NO | Press.BACK:
            several = len(state.setups) > 1
            return _go(state, Step.PROVISIONING if several else Step.LOOK_DISKS)
        case Press.YES if state.can_write and state.disk:
            return _go(state, Step.NAME if holds_something(state.disk) else Step.WRITE)
        case _:
            return None


def _name(state: State, answer: Answer) -> State | None:
    assert state.disk is not None
    name = state.disk.path.name
    match answer:
        case Typed(text) if text.strip() in (name, str(state.disk.path)):
            return _go(state, Step.WRITE)
        case Typed():
            said = f"That was not {name}. Nothing was written."
            return _go(state, Step.SUMMARY, note=said)
        case Press.BACK:
            return _go(state, Step.SUMMARY, note="Nothing was written.")
        case _:
            return None


def _write(state: State, answer: Answer) -> State | None:
    match answer:
        case Wrote(done, told):
            then = Step.OFFER_LOCAL if told else Step.RESULT
            return _go(state, then, done=done, told=told, local_set=False)
        case BadDisk(trouble):
            return _go(state, Step.LOOK_DISKS, trouble=trouble)
        case NotWrote(trouble):
            return _go(state, Step.FAILED, trouble=trouble)
        case NoTurn(trouble):
            return _go(state, Step.NO_TURN, trouble=trouble)
        case _:
            return None


def _no_turn(state: State, answer: Answer) -> State | None:
    match answer:
        case Press.AGAIN:
            return _go(state, Step.WRITE)
        case Press.NOT_WAIT:
            return _go(state, Step.WRITE, turn=False)
        case Press.BACK:
            return _go(state, Step.SUMMARY, note="Nothing was written.")
        case _:
            return None


def _offer_local(state: State, answer: Answer) -> State | None:
    match answer:
        case Press.YES:
            return _go(state, Step.SET_LOCAL)
        case Press.NO | Press.BACK:
            return _go(state, Step.RESULT)
        case _:
            return None


def _set_local(state: State, answer: Answer) -> State | None:
    match answer:
        case LocalSet(trouble):
            return _go(state, Step.RESULT, trouble=trouble, local_set=trouble is None)
        case _:
            return None


def _result(state: State, answer: Answer) -> State | None:
    match answer:
        case Press.ANOTHER:
            return _afresh(state)
        case Press.AGAIN if state.told is False:
            return _go(state, Step.TELL)
        case Press.REBOOT | Press.BOOT_ONCE | Press.POWER_OFF if state.told is False:
            return _go(state, Step.UNTOLD)
        case _:
            return _restart(state, answer)


def _tell(state: State, answer: Answer) -> State | None:
    match answer:
        case Told(told):
            return _go(state, Step.OFFER_LOCAL if told else Step.UNTOLD, told=told)
        case _:
            return None


def _untold(state: State, answer: Answer) -> State | None:
    match answer:
        case Press.AGAIN:
            return _go(state, Step.TELL)
        case Press.BACK:
            return _go(state, Step.RESULT)
        case _:
            return _restart(state, answer)


def _failed(state: State, answer: Answer) -> State | None:
    match answer:
        case Press.AGAIN:
            return _go(state, Step.PLAN)
        case Press.OTHER_DISK | Press.BACK:
            return _go(state, Step.LOOK_DISKS)
        case Press.OTHER_IMAGE:
            return _go(state, Step.LOOK_IMAGES)
        case _:
            return _restart(state, answer)


def _restart(state: State, answer: Answer) -> State | None:
    match answer:
        case Press.REBOOT:
            return _end(state, Ending.REBOOT)
        case Press.BOOT_ONCE if state.uefi:
            return _end(state, Ending.BOOT_ONCE)
        case Press.POWER_OFF:
            return _end(state, Ending.POWER_OFF)
        case _:
            return None


def _afresh(state: State) -> State:
    """Return the state in which another flash begins."""
    return _go(
        state,
        Step.LOOK_IMAGES,
        removable=False,
        image=None,
        disk=None,
        plan=None,
        warnings=(),
        turn=True,
        done=None,
        told=None,
        local_set=False,
    )


_RULES: dict[Step, Callable[[State, Answer], State | None]] = {
    Step.NOTICE: _notice,
    Step.LOOK_IMAGES: _look_images,
    Step.NO_SERVER: _no_server,
    Step.IMAGE: _image,
    Step.LOOK_DISKS: _look_disks,
    Step.DISK: _disk,
    Step.PROVISIONING: _provisioning,
    Step.PLAN: _plan,
    Step.SUMMARY: _summary,
    Step.NAME: _name,
    Step.WRITE: _write,
    Step.NO_TURN: _no_turn,
    Step.OFFER_LOCAL: _offer_local,
    Step.SET_LOCAL: _set_local,
    Step.RESULT: _result,
    Step.TELL: _tell,
    Step.UNTOLD: _untold,
    Step.FAILED: _failed,
    Step.SHELL: _shell,
    Step.LEAVE: _leaving,
    Step.END: _ended,
}
