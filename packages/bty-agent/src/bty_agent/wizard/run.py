"""The loop: work or ask, as the step wants it, until the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bty_agent.host import Host
from bty_agent.unattended.failure import forget_failure
from bty_agent.wizard.answers import Answer, BadImage, Images, Press, Returned, Stayed, Told
from bty_agent.wizard.catalog import local_offers
from bty_agent.wizard.menus import Question, YesNo, question
from bty_agent.wizard.offers import Origin
from bty_agent.wizard.screens import WARN, body, farewell, way
from bty_agent.wizard.sessions import Session
from bty_agent.wizard.steps import WORK, Ending, State, Step, advance
from bty_agent.wizard.terminal import Hangup, Terminal, same_settings
from bty_agent.wizard.work import look_at_disks, make_plan, trouble
from bty_agent.wizard.writing import Writing
from bty_core.errors import BtyError
from bty_core.flash.plan import FlashOptions

_FIRM = frozenset(
    {Step.SUMMARY, Step.NAME, Step.RESULT, Step.FAILED, Step.OFFER_LOCAL, Step.UNTOLD}
)


class Asker(Protocol):
    """Asks a person."""

    def ask(self, question: Question, draw: Callable[[], int], *, fresh: bool = False) -> Answer:
        """Draw what stands above the question, ask, and return the answer.

        `fresh`: what was typed before is no answer.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is given to the wizard, and what does not change."""

    root: Path  # of the images of this computer
    run_dir: Path  # where an unattended flash left why it failed
    options: FlashOptions


class Wizard:
    """A host, a terminal and a person."""

    def __init__(
        self, host: Host, terminal: Terminal, asker: Asker, session: Session, setting: Setting
    ) -> None:
        """Nothing is drawn yet."""
        self._host, self._terminal, self._asker = host, terminal, asker
        self._session, self._root, self._options = session, setting.root, setting.options
        self._run_dir = setting.run_dir

    def run(self, state: State) -> State:
        """Go from `state` to the end, and do what the end means."""
        while True:
            while state.step is not Step.END:
                answer = self._answer(state)
                if state.step is Step.NOTICE and answer is Press.YES:
                    forget_failure(self._run_dir)
                if answer is Press.ANOTHER:
                    self._session.another()
                state = advance(state, answer)
            self._terminal.leave(farewell(state))
            try:
                self._end(state)
            except BtyError as error:
                state = advance(state, Stayed(trouble(error)))
            else:
                return state

    def _answer(self, state: State) -> Answer:
        if state.step in WORK:
            try:
                return self._work(state)
            except Hangup:
                raise
            except KeyboardInterrupt:
                return Press.LEAVE
        fresh = state.step in _FIRM  # an Enter too many must not answer what nobody has read
        return self._asker.ask(question(state), lambda: self._draw(state), fresh=fresh)

    def _draw(self, state: State) -> int:
        lines = body(state, self._root, self._terminal.columns)
        return self._terminal.draw(way(state), lines)

    def _work(self, state: State) -> Answer:
        say = self._terminal.say
        match state.step:
            case Step.LOOK_IMAGES:
                if state.origin is Origin.SERVER:
                    say("", f"Asking {state.server} for its images ...")
                    return self._session.look()
                try:
                    return Images(local_offers(self._root))
                except BtyError as error:
                    return BadImage(trouble(error))
            case Step.LOOK_DISKS:
                self._session.picked(state.image, None)
                return look_at_disks(self._host, self._root, self._session)
            case Step.PLAN:
                assert state.image is not None
                say("", f"Looking at {state.image.name} ...")
                self._session.picked(state.image, state.disk)
                return make_plan(self._host, state, self._options, self._session)
            case Step.WRITE:
                return self._write(state)
            case Step.TELL:
                say("", f"Telling {state.server} ... (Ctrl-C stops)")
                return Told(self._session.tell(self._on_try))
            case Step.SET_LOCAL:
                return self._session.set_local()
            case _:
                self._shell()
                return Returned()

    def _write(self, state: State) -> Answer:
        assert state.plan is not None
        text = f"Writing {state.plan.image.name} onto {state.plan.disk.path}"

        def draw() -> None:
            self._terminal.draw(way(state), [("bold", text), ("", "Ctrl-C asks whether to stop.")])

        def sure() -> bool:
            text = "Stop writing? The disk will not boot then."
            asked = YesNo(text=text if writing.writes else "Stop? Nothing was written yet.")
            return self._asker.ask(asked, lambda: 0, fresh=True) in (Press.YES, Press.LEAVE)

        writing = Writing(self._host, self._session, state.plan, state.provisioner, turn=state.turn)
        return writing.run(self._terminal, draw, sure)

    def _on_try(self, number: int, why: str) -> None:
        self._terminal.say(WARN, f"try {number}: {why}")

    def _shell(self) -> None:
        self._terminal.say("", "A shell. Leave it with exit, and the wizard goes on.")
        try:
            with same_settings():
                self._host.shell()
        except BtyError as error:
            self._terminal.say(WARN, error.message)

    def _end(self, state: State) -> None:
        match state.ending:
            case Ending.REBOOT:
                self._host.reboot()
            case Ending.BOOT_ONCE:
                assert state.plan is not None
                made = self._host.boot_once(state.plan.disk, state.plan.image.name)
                self._terminal.say("", made)
                self._host.reboot()
            case Ending.POWER_OFF:
                self._host.power_off()
            case Ending.LEFT:
                pass
