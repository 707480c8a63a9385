"""What each step asks: a state in, a question with its answers out. Nothing is drawn here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bty_agent.render.tables import aligned
from bty_agent.wizard.answers import Answer, PickDisk, PickImage, PickSetup, Press, Typed
from bty_agent.wizard.offers import Offer, Origin, now_on, offered, why_not
from bty_agent.wizard.steps import State, Step
from bty_core.disks.model import Disk, Kind
from bty_core.program.console import plain
from bty_core.values import size_text
from bty_core.wire.plan import ProvisioningMode

_MANY = 10  # rows; a longer list is searched by typing

MODES = {
    ProvisioningMode.NONE: "write the image, change nothing in it",
    ProvisioningMode.CLOUD_INIT: "and seed cloud-init with it",
    ProvisioningMode.CIJOE: "and run this CIJOE workflow on it",
    ProvisioningMode.CIJOE_ONLINE: "and have the server run a CIJOE workflow after the first boot",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line to choose, or one that only says why it cannot be chosen."""

    label: str
    answer: Answer | None  # None: it cannot be chosen
    below: tuple[str, ...] = ()  # shown under it
    detail: tuple[str, ...] = ()  # shown under the list while the row is pointed at
    action: bool = False  # stands apart, below what the list is about


@dataclass(frozen=True, slots=True, kw_only=True)
class Menu:
    """Choose one row."""

    text: str
    rows: tuple[Row, ...]
    head: str = ""  # names of the columns
    at: Answer | None = None  # where the pointer starts

    @property
    def searchable(self) -> bool:
        """Whether typing searches."""
        return sum(not row.action for row in self.rows) > _MANY


@dataclass(frozen=True, slots=True, kw_only=True)
class YesNo:
    """Yes, or No for whoever only presses Enter."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Type a word."""

    text: str

    def answer(self, typed: str) -> Answer:
        """Return what was typed as an answer; nothing at all means to go back."""
        return Typed(typed) if typed.strip() else Press.BACK


Question = Menu | YesNo | Word

BACK = Row(label="Back", answer=Press.BACK, action=True)
SHELL = Row(label="Shell", answer=Press.SHELL, action=True)
LEAVE = Row(label="Leave the wizard", answer=Press.LEAVE, action=True)


_GO_ON = Row(label="Go on: choose an image and a disk by hand", answer=Press.YES)
_TRY_SERVER = Row(label="Ask the server again", answer=Press.AGAIN)
_LOCAL = Row(label="Take an image of this computer", answer=Press.USE_LOCAL)
_SERVER = Row(label="Images of the server", answer=Press.USE_SERVER)
_REFRESH = Row(label="Look again", answer=Press.REFRESH)
_TELL = Row(label="Tell the server now", answer=Press.AGAIN)
_ASK_TURN = Row(label="Ask the server again", answer=Press.AGAIN)
_NOT_WAIT = Row(
    label="Write without waiting for the server",
    answer=Press.NOT_WAIT,
    detail=("It limits how many machines are flashed at once, and cannot count this one now.",),
)
_REBOOT = Row(label="Reboot", answer=Press.REBOOT)
_BOOT_ONCE = Row(
    label="Reboot from this disk",
    answer=Press.BOOT_ONCE,
    detail=("Makes a UEFI boot entry for the disk and uses it once; the boot order stays.",),
)
_POWER_OFF = Row(label="Power off", answer=Press.POWER_OFF)
_ANOTHER = Row(label="Flash another disk", answer=Press.ANOTHER)
_AGAIN = Row(label="Try again", answer=Press.AGAIN)
_OTHER_DISK = Row(label="Choose another disk", answer=Press.OTHER_DISK)
_OTHER_IMAGE = Row(label="Choose another image", answer=Press.OTHER_IMAGE)


def _actions(*rows: Row) -> tuple[Row, ...]:
    """Return rows that are a list of their own."""
    return tuple(
        Row(label=row.label, answer=row.answer, below=row.below, detail=row.detail) for row in rows
    )


def _apart(*rows: Row) -> tuple[Row, ...]:
    """Return rows that stand below a list."""
    return tuple(
        Row(label=row.label, answer=row.answer, detail=row.detail, action=True) for row in rows
    )


def _images(state: State) -> Menu:
    other: tuple[Row, ...] = ()
    if state.server:
        other = (_LOCAL,) if state.origin is Origin.SERVER else (_SERVER,)
    actions = _apart(_REFRESH, *other, SHELL, LEAVE)
    if not state.images:
        return Menu(text="What now?", rows=_actions(*actions))
    lines = aligned([_IMAGE_HEAD, *map(_image_cells, state.images)])
    rows = tuple(
        Row(
            label=line,
            answer=None if image.problem else PickImage(image),
            below=(f"cannot be written: {plain(image.problem)}",) if image.problem else (),
            detail=_image_detail(image),
        )
        for line, image in zip(lines[1:], state.images, strict=True)
    )
    at = PickImage(state.image) if state.image is not None else None
    return Menu(text="Which image?", rows=rows + actions, head=lines[0], at=at)


_IMAGE_HEAD = ("IMAGE", "FORMAT", "SIZE", "ON DISK", "DIGEST")
_NAME = 38  # columns of an image's name in the list


def _image_cells(image: Offer) -> Sequence[str]:
    name = plain(image.name)
    return (
        name if len(name) <= _NAME else f"{name[: _NAME - 12]}...{name[-9:]}",
        image.format or "-",
        size_text(image.size),
        size_text(image.virtual_size) if image.virtual_size is not None else "-",
        "known" if image.digest else "-",
    )


def _image_detail(image: Offer) -> tuple[str, ...]:
    told = []
    if len(plain(image.name)) > _NAME:
        told.append(plain(image.name))
    if image.description:
        told.append(plain(image.description))
    if image.digest:
        told.append(f"sha256 {image.digest}")
    else:
        told.append("No digest is known: only damage that the format shows will be found.")
    return tuple(told)


def _disks(state: State) -> Menu:
    shown = offered(state.disks, removable=state.removable)
    label = "Keep removable disks out" if state.removable else "Allow removable disks"
    removable = Row(label=label, answer=Press.REMOVABLE)
    actions = _apart(_REFRESH, removable, BACK)
    if not shown:
        return Menu(text="What now?", rows=_actions(*actions))
    lines = aligned([_DISK_HEAD, *map(_disk_cells, shown)])
    rows = []
    for line, disk in zip(lines[1:], shown, strict=True):
        why = why_not(disk, state.image, removable=state.removable)
        below = [now_on(disk), *([f"cannot be chosen: {plain(why)}"] if why else [])]
        answer = None if why else PickDisk(disk)
        rows.append(Row(label=line, answer=answer, below=tuple(below)))
    return Menu(text="Onto which disk?", rows=(*rows, *actions), head=lines[0])


_DISK_HEAD = ("DISK", "SIZE", "VIA", "SERIAL", "MODEL")


def _disk_cells(disk: Disk) -> Sequence[str]:
    return (
        plain(disk.path.name),
        size_text(disk.size),
        str(disk.transport if disk.kind is Kind.DISK else disk.kind),
        plain(disk.serial or "-"),
        plain(disk.model or "-"),
    )


def _setups(state: State) -> Menu:
    lines = aligned([(plain(one.title), MODES[one.mode]) for one in state.setups])
    rows = [
        Row(label=line, answer=PickSetup(one))
        for line, one in zip(lines, state.setups, strict=True)
    ]
    rows.append(BACK)
    return Menu(text="What to set up on it?", rows=tuple(rows), at=PickSetup(state.setup))


def _summary(state: State) -> Question:
    assert state.disk is not None
    if not state.can_write:
        return Menu(text="What now?", rows=_actions(BACK, SHELL, LEAVE))
    return YesNo(text=f"Erase all of {state.disk.path.name} and write the image?")


def _result(state: State) -> Menu:
    once = (_BOOT_ONCE,) if state.uefi else ()
    tell = (_TELL,) if state.told is False else ()
    rows = _actions(*tell, _REBOOT, *once, _POWER_OFF, _ANOTHER, SHELL, LEAVE)
    return Menu(text="What now?", rows=rows)


def _name(state: State) -> Word:
    assert state.disk is not None
    return Word(text=f"Type {state.disk.path.name} to erase it, or only Enter to go back:")


def _fixed(text: str, *rows: Row) -> Callable[[State], Question]:
    """Return what asks the same whatever the state."""
    menu = Menu(text=text, rows=_actions(*rows))
    return lambda _: menu


_QUESTIONS: dict[Step, Callable[[State], Question]] = {
    Step.NOTICE: _fixed("What now?", _GO_ON, SHELL, _REBOOT),
    Step.NO_SERVER: _fixed("What now?", _TRY_SERVER, _LOCAL, SHELL, LEAVE),
    Step.IMAGE: _images,
    Step.DISK: _disks,
    Step.PROVISIONING: _setups,
    Step.SUMMARY: _summary,
    Step.NAME: _name,
    Step.OFFER_LOCAL: _fixed(
        "At its next network boot, should this machine start from its own disk?",
        Row(label="Yes: its own disk from now on (policy local)", answer=Press.YES),
        Row(label="No: leave the policy as it is", answer=Press.NO),
    ),
    Step.RESULT: _result,
    Step.UNTOLD: _fixed(
        "The server does not know it yet. What now?", _TELL, _REBOOT, _POWER_OFF, BACK
    ),
    Step.NO_TURN: _fixed("What now?", _ASK_TURN, _NOT_WAIT, BACK),
    Step.FAILED: _fixed(
        "What now?", _AGAIN, _OTHER_DISK, _OTHER_IMAGE, SHELL, _REBOOT, _POWER_OFF, LEAVE
    ),
    Step.LEAVE: lambda _: YesNo(text="Leave the wizard? Nothing is being written."),
}


def question(state: State) -> Question:
    """Return what the step of `state` asks a person."""
    return _QUESTIONS[state.step](state)
