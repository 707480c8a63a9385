"""Each transition of the wizard, as a table: the state, the answer, what is different afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

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
from bty_agent.wizard.offers import NOTHING, Origin, Setup
from bty_agent.wizard.steps import WORK, Ending, State, Step, advance
from bty_core.wire.plan import ProvisioningMode
from tests.agent.wizard.things import (
    BROKEN,
    DEBIAN,
    DONE,
    EMPTY,
    FULL,
    LOOP,
    READER,
    SMALL,
    STICK,
    SYSTEM,
    plan,
)

WHY = Trouble(("it failed",), hint="do it again")
BOTH = (NOTHING, Setup(ProvisioningMode.CLOUD_INIT, "lab", Path("/seeds/lab")))
KNOWN = State(
    images=(DEBIAN, BROKEN),
    disks=(EMPTY, FULL, STICK, SYSTEM, SMALL, LOOP, READER),
    image=DEBIAN,
    disk=FULL,
    server="http://server",
    origin=Origin.SERVER,
    note="a note",
    trouble=WHY,
)


def at(step: Step, **known: Any) -> State:
    return replace(KNOWN, step=step, **known)


Row = tuple[str, State, Answer, dict[str, Any]]


def to(step: Step | None, **changed: Any) -> dict[str, Any]:
    """What was told goes; None stays in the step."""
    moved = {"step": step} if step else {}
    return {"note": None, "trouble": None, **moved, **changed}


def end(ending: Ending, came_from: Step) -> dict[str, Any]:
    return {"step": Step.END, "ending": ending, "came_from": came_from}


# fmt: off
TABLE: list[Row] = [
    # what happened before the wizard
    ("notice: go on", at(Step.NOTICE, notice=WHY), Press.YES, to(Step.LOOK_IMAGES, notice=None)),
    ("notice: reboot", at(Step.NOTICE), Press.REBOOT, end(Ending.REBOOT, Step.NOTICE)),
    # images
    ("images come", at(Step.LOOK_IMAGES), Images((DEBIAN,)), {"step": Step.IMAGE, "images": (DEBIAN,)}),
    ("the server is away", at(Step.LOOK_IMAGES, trouble=None), NoServer(WHY),
        to(Step.NO_SERVER, trouble=WHY, images=())),
    ("the folder cannot be read", at(Step.LOOK_IMAGES), BadImage(WHY),
        to(Step.IMAGE, images=(), trouble=WHY)),
    ("ask it again", at(Step.NO_SERVER), Press.AGAIN, to(Step.LOOK_IMAGES)),
    ("local images instead", at(Step.NO_SERVER), Press.USE_LOCAL, to(Step.LOOK_IMAGES, origin=Origin.LOCAL)),
    ("no server: back", at(Step.NO_SERVER), Press.BACK, {"step": Step.LEAVE, "came_from": Step.NO_SERVER}),
    ("an image", at(Step.IMAGE, image=None), PickImage(DEBIAN), to(Step.LOOK_DISKS, image=DEBIAN)),
    ("a broken image", at(Step.IMAGE), PickImage(BROKEN),
        to(None, note="broken.img cannot be written: it is cut short")),
    ("an image that is not in the list", at(Step.IMAGE), PickImage(replace(DEBIAN, name="x")), {}),
    ("look again", at(Step.IMAGE), Press.REFRESH, to(Step.LOOK_IMAGES)),
    ("to the local images", at(Step.IMAGE), Press.USE_LOCAL, to(Step.LOOK_IMAGES, origin=Origin.LOCAL)),
    ("to the server's", at(Step.IMAGE, origin=Origin.LOCAL), Press.USE_SERVER,
        to(Step.LOOK_IMAGES, origin=Origin.SERVER)),
    ("there is no server", at(Step.IMAGE, server=None), Press.USE_SERVER, {}),
    ("image: back", at(Step.IMAGE), Press.BACK, {"step": Step.LEAVE, "came_from": Step.IMAGE}),
    # disks
    ("disks come", at(Step.LOOK_DISKS), Disks((EMPTY,)), {"step": Step.DISK, "disks": (EMPTY,)}),
    ("disks cannot be read", at(Step.LOOK_DISKS, trouble=None), BadDisk(WHY),
        to(Step.DISK, disks=(), trouble=WHY)),
    ("a disk", at(Step.DISK, disk=None), PickDisk(EMPTY), to(Step.PLAN, disk=EMPTY)),
    ("a disk, and modes", at(Step.DISK, disk=None, setups=BOTH), PickDisk(EMPTY),
        to(Step.PROVISIONING, disk=EMPTY)),
    ("the system's disk", at(Step.DISK), PickDisk(SYSTEM),
        to(None, note="sdd cannot be chosen: the running system or the live medium: mounted on / (/dev/sdd1)")),
    ("too small a disk", at(Step.DISK), PickDisk(SMALL),
        to(None, note="sde cannot be chosen: too small: the image needs 2.00 GB")),
    ("a stick", at(Step.DISK), PickDisk(STICK),
        to(None, note="sdc cannot be chosen: removable: allow it below first")),
    ("a loop device", at(Step.DISK), PickDisk(LOOP),
        to(None, note="loop7 cannot be chosen: not a disk of its own: allow it below first")),
    ("a reader without a card", at(Step.DISK, removable=True), PickDisk(READER),
        to(None, note="sdf cannot be chosen: no medium")),
    ("a stick that is allowed", at(Step.DISK, removable=True), PickDisk(STICK), to(Step.PLAN, disk=STICK)),
    ("a disk that is not in the list", at(Step.DISK, disks=()), PickDisk(EMPTY), {}),
    ("allow removable", at(Step.DISK), Press.REMOVABLE, to(Step.LOOK_DISKS, removable=True)),
    ("keep removable out", at(Step.DISK, removable=True), Press.REMOVABLE,
        to(Step.LOOK_DISKS, removable=False)),
    ("disks again", at(Step.DISK), Press.REFRESH, to(Step.LOOK_DISKS)),
    ("disk: back", at(Step.DISK), Press.BACK, to(Step.IMAGE)),
    # set up
    ("a mode", at(Step.PROVISIONING, setups=BOTH), PickSetup(BOTH[1]), to(Step.PLAN, setup=BOTH[1])),
    ("a mode that is not there", at(Step.PROVISIONING), PickSetup(BOTH[1]), {}),
    ("mode: back", at(Step.PROVISIONING), Press.BACK, to(Step.LOOK_DISKS)),
    # the plan
    ("the image is refused", at(Step.PLAN, trouble=None), BadImage(WHY), to(Step.LOOK_IMAGES, trouble=WHY)),
    ("the disk is refused", at(Step.PLAN, trouble=None), BadDisk(WHY), to(Step.LOOK_DISKS, trouble=WHY)),
    ("what was to be set up is refused", at(Step.PLAN, trouble=None), BadSetup(WHY),
        to(Step.PROVISIONING, trouble=WHY)),
    ("summary: no", at(Step.SUMMARY), Press.NO, to(Step.LOOK_DISKS)),
    ("summary: back", at(Step.SUMMARY, setups=BOTH), Press.BACK, to(Step.PROVISIONING)),
    ("summary: yes, partitions", at(Step.SUMMARY), Press.YES, to(Step.NAME)),
    ("summary: yes, a filesystem", at(Step.SUMMARY, disk=replace(EMPTY, filesystem="ext4")), Press.YES,
        to(Step.NAME)),
    ("summary: yes, empty", at(Step.SUMMARY, disk=EMPTY), Press.YES, to(Step.WRITE)),
    ("summary: yes without root", at(Step.SUMMARY, can_write=False), Press.YES, {}),
    ("the right name", at(Step.NAME), Typed(" sda "), to(Step.WRITE)),
    ("the right path", at(Step.NAME), Typed("/dev/sda"), to(Step.WRITE)),
    ("a wrong name", at(Step.NAME), Typed("sdb"),
        to(Step.SUMMARY, note="That was not sda. Nothing was written.")),
    ("a name in capitals", at(Step.NAME), Typed("SDA"),
        to(Step.SUMMARY, note="That was not sda. Nothing was written.")),
    ("name: back", at(Step.NAME), Press.BACK, to(Step.SUMMARY, note="Nothing was written.")),
    ("yes is no name", at(Step.NAME), Press.YES, {}),
    # the write
    ("done, alone", at(Step.WRITE, server=None), Wrote(DONE), to(Step.RESULT, done=DONE)),
    ("done, the server knows", at(Step.WRITE), Wrote(DONE, told=True),
        to(Step.OFFER_LOCAL, done=DONE, told=True)),
    ("done, it does not", at(Step.WRITE), Wrote(DONE, told=False), to(Step.RESULT, done=DONE, told=False)),
    ("the disk has changed", at(Step.WRITE, trouble=None), BadDisk(WHY), to(Step.LOOK_DISKS, trouble=WHY)),
    ("it failed", at(Step.WRITE, trouble=None), NotWrote(WHY), to(Step.FAILED, trouble=WHY)),
    ("no turn", at(Step.WRITE, trouble=None), NoTurn(WHY), to(Step.NO_TURN, trouble=WHY)),
    ("no turn: again", at(Step.NO_TURN), Press.AGAIN, to(Step.WRITE)),
    ("no turn: do not wait", at(Step.NO_TURN), Press.NOT_WAIT, to(Step.WRITE, turn=False)),
    ("no turn: back", at(Step.NO_TURN), Press.BACK, to(Step.SUMMARY, note="Nothing was written.")),
    # afterwards
    ("local: yes", at(Step.OFFER_LOCAL), Press.YES, to(Step.SET_LOCAL)),
    ("local: no", at(Step.OFFER_LOCAL), Press.NO, to(Step.RESULT)),
    ("it is local", at(Step.SET_LOCAL), LocalSet(), to(Step.RESULT, local_set=True)),
    ("it is refused", at(Step.SET_LOCAL, trouble=None), LocalSet(WHY), to(Step.RESULT, trouble=WHY)),
    ("reboot", at(Step.RESULT, told=True), Press.REBOOT, end(Ending.REBOOT, Step.RESULT)),
    ("reboot, untold", at(Step.RESULT, told=False), Press.REBOOT, to(Step.UNTOLD)),
    ("power off, untold", at(Step.RESULT, told=False), Press.POWER_OFF, to(Step.UNTOLD)),
    ("boot once on a BIOS", at(Step.RESULT), Press.BOOT_ONCE, {}),
    ("boot once", at(Step.RESULT, uefi=True), Press.BOOT_ONCE, end(Ending.BOOT_ONCE, Step.RESULT)),
    ("power off", at(Step.RESULT), Press.POWER_OFF, end(Ending.POWER_OFF, Step.RESULT)),
    ("result: back", at(Step.RESULT), Press.BACK, {}),
    ("another", at(Step.RESULT, removable=True, done=DONE, told=True, local_set=True, turn=False), Press.ANOTHER,
        to(Step.LOOK_IMAGES, removable=False, image=None, disk=None, done=None, told=None, local_set=False, turn=True)),
    ("tell it", at(Step.RESULT, told=False), Press.AGAIN, to(Step.TELL)),
    ("it knows now", at(Step.TELL, told=False), Told(True), to(Step.OFFER_LOCAL, told=True)),
    ("it still does not", at(Step.TELL, told=False), Told(False), to(Step.UNTOLD)),
    ("untold: again", at(Step.UNTOLD), Press.AGAIN, to(Step.TELL)),
    ("untold: back", at(Step.UNTOLD), Press.BACK, to(Step.RESULT)),
    ("untold: reboot", at(Step.UNTOLD, told=False), Press.REBOOT, end(Ending.REBOOT, Step.UNTOLD)),
    ("failed: again", at(Step.FAILED), Press.AGAIN, to(Step.PLAN)),
    ("failed: other disk", at(Step.FAILED), Press.OTHER_DISK, to(Step.LOOK_DISKS)),
    ("failed: other image", at(Step.FAILED), Press.OTHER_IMAGE, to(Step.LOOK_IMAGES)),
    ("failed: reboot", at(Step.FAILED), Press.REBOOT, end(Ending.REBOOT, Step.FAILED)),
    ("it could not reboot", at(Step.END, came_from=Step.RESULT, trouble=None), Stayed(WHY),
        {"step": Step.RESULT, "trouble": WHY}),
    # leaving, and the shell
    ("leave: no", at(Step.LEAVE, came_from=Step.DISK), Press.NO, {"step": Step.DISK}),
    ("leave: back", at(Step.LEAVE, came_from=Step.NAME), Press.BACK, {"step": Step.NAME}),
    ("leave: yes", at(Step.LEAVE), Press.YES, {"step": Step.END}),
    ("leave twice", at(Step.LEAVE), Press.LEAVE, {"step": Step.END}),
    ("the shell has ended", at(Step.SHELL, came_from=Step.DISK), Returned(), {"step": Step.LOOK_DISKS}),
    ("the shell has ended, images", at(Step.SHELL, came_from=Step.IMAGE), Returned(),
        {"step": Step.LOOK_IMAGES}),
    ("the shell has ended, result", at(Step.SHELL, came_from=Step.RESULT), Returned(), {"step": Step.RESULT}),
]
# fmt: on


@pytest.mark.parametrize(
    ("before", "answer", "changed"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_a_step(before: State, answer: Answer, changed: dict[str, Any]) -> None:
    assert advance(before, answer) == replace(before, **changed)


def test_a_plan_is_shown_before_anything_is_asked(tmp_path: Path) -> None:
    found = plan(tmp_path)
    after = advance(at(Step.PLAN, turn=False), Judged(found, ("mind the gap",)))
    assert after == at(
        Step.SUMMARY, plan=found, warnings=("mind the gap",), turn=True, note=None, trouble=None
    )


# Where a person who stays finds themselves, if not where they were.
ELSEWHERE = {
    Step.PLAN: Step.LOOK_DISKS,
    Step.SET_LOCAL: Step.OFFER_LOCAL,
    Step.TELL: Step.RESULT,
}


@pytest.mark.parametrize("step", sorted({*Step} - {Step.LEAVE, Step.END}))
def test_ctrl_c_asks_in_each_step_and_who_stays_goes_on(step: Step) -> None:
    asked = advance(at(step), Press.LEAVE)
    assert asked.step is Step.LEAVE
    stayed = advance(asked, Press.NO)
    assert stayed == at(ELSEWHERE.get(step, step), came_from=ELSEWHERE.get(step, step))


@pytest.mark.parametrize("step", sorted({*Step} - WORK - {Step.END, Step.LEAVE}))
def test_a_shell_can_be_had_from_each_question(step: Step) -> None:
    assert advance(at(step), Press.SHELL) == at(Step.SHELL, came_from=step)


PATIENT: list[Answer] = [*Press, Typed("sda"), Typed(""), PickDisk(FULL), PickImage(DEBIAN)]


@pytest.mark.parametrize("step", sorted({*Step} - {Step.NAME, Step.SUMMARY, Step.NO_TURN}))
def test_no_other_question_leads_to_a_write(step: Step) -> None:
    for answer in PATIENT:
        if step is not Step.WRITE:
            assert advance(at(step), answer).step is not Step.WRITE
