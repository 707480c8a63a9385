"""The wizard with a real `bty-web`: what the screen says, and what the server knows, agree."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from bty_agent.server.client import ServerClient
from bty_core.values import MacAddress
from bty_core.wire.reports import FailedReport, ProgressReport, ReportedPhase
from bty_web.models.words import Policy, State, Trigger
from bty_web.services import machines
from tests.agent.server.fleet import fleet
from tests.agent.unattended.link import link
from tests.agent.wizard.conftest import Room
from tests.agent.wizard.person import CTRL_C, ENTER, Person, wizard
from tests.agent.wizard.test_local import choose, say_yes, start, to_summary
from tests.agent.wizard.tour import half_written
from tests.conftest import MIB
from tests.web.serving.server import wait_until

pytestmark = [pytest.mark.root, pytest.mark.loop]
QUICK = "0.05"  # of the patience that a person needs


def policy(room: Room) -> Policy:
    """What the machine boots."""
    with room.fleet.site.session() as session:
        return Policy(machines.get(session, room.mac).boot_policy)


def leave(person: Person) -> None:
    person.press(CTRL_C)
    person.sees("Leave the wizard?")
    say_yes(person)
    assert person.ended() == 0


def hears(room: Room, *states: State) -> bool:
    """Wait until the newest attempt of the machine is in one of `states`."""
    return room.fleet.hears(*states, mac=room.mac)


def test_from_a_network_boot_to_its_own_disk(room: Room, blank: Path) -> None:
    with wizard(*room.booted(), BTY_TEST_PACE=QUICK) as person:
        person.sees("Which image?", "For tests", "known")
        number = room.attempt().id
        to_summary(person, blank)
        assert "digest   known from the catalog of the server" in person.shown
        assert wait_until(lambda: room.attempt().image == "small.img")
        thinking = room.attempt()
        assert thinking.id == number
        assert thinking.phase == "waiting"
        assert str(blank) in str(thinking.disk)
        assert str(thinking.console).startswith("pts/")
        with room.fleet.site.session() as session:
            inventory = machines.get(session, room.mac).inventory
        assert inventory is not None
        assert inventory["firmware"] in ("bios", "uefi")
        say_yes(person)
        person.sees("done: small.img is on", "should this machine start from its own disk?")
        done = room.attempt()
        assert (done.id, done.state, done.disk) == (number, State.DONE, str(blank))
        assert done.bytes_written
        assert policy(room) is Policy.TUI
        person.take("Yes: its own disk")
        person.sees("At its next network boot this machine starts from its own disk.", "What now?")
        assert policy(room) is Policy.LOCAL
        person.take("Flash another disk")
        person.sees("Which image?")
        leave(person)
    assert start(blank) == (room.fleet.site.settings.image_root / "small.img").read_bytes()


def test_by_hand_and_the_policy_stays(room: Room, blank: Path) -> None:
    with wizard(*room.by_hand(), BTY_TEST_PACE=QUICK) as person:
        to_summary(person, blank)
        assert hears(room, State.QUEUED, State.OFFERED, State.RUNNING)
        first = room.attempt()
        assert first.trigger is Trigger.WIZARD
        say_yes(person)
        person.sees("should this machine start from its own disk?")
        person.take("No: leave the policy")
        person.sees("What now?", "Its boot policy is as it was.")
        assert policy(room) is Policy.TUI
        person.take("Flash another disk")
        to_summary(person, blank)
        assert wait_until(lambda: room.attempt().id != first.id)  # another flash, another attempt
        leave(person)
    assert room.attempt().state is State.CANCELLED
    assert room.attempt().message == "the person left the wizard"


def test_an_attempt_that_is_over_is_not_used_again(room: Room) -> None:
    words = room.booted()
    line = (room.folder / "cmdline").read_text()
    token = line.partition("bty.token=")[2].split()[0]
    unattended = ServerClient(room.fleet.url, room.mac, token=token)
    unattended.failed(FailedReport(code="verify-failed", message="it does not hold it"))
    over = room.attempt()
    with wizard(*words, BTY_TEST_PACE=QUICK) as person:
        person.sees("Which image?")
        assert wait_until(lambda: room.attempt().id != over.id)
        assert room.attempt().mode == "interactive"
        leave(person)
    assert room.fleet.hears(State.CANCELLED, mac=room.mac)


def test_two_consoles_are_two_attempts(room: Room) -> None:
    words = room.booted()
    with wizard(*words, BTY_TEST_PACE=QUICK) as first:
        first.sees("Which image?")
        number = room.attempt().id
        with wizard(*words, BTY_TEST_PACE=QUICK) as second:
            second.sees("Which image?")
            assert wait_until(lambda: room.attempt().id != number)


def test_why_the_server_wants_a_person(room: Room) -> None:
    room.fleet.assign(room.mac, boot_policy="flash")
    with wizard(*room.booted()) as person:
        shown = person.sees("Which image?")
        reason = room.fleet.server.get(f"/pxe/{room.mac}/plan").json()["reason"]
        assert len(reason) > 10
        assert reason in " ".join(shown.split())


def test_a_dead_server_offers_the_local_images(room: Room, images: Path, blank: Path) -> None:
    words = room.booted()
    room.link.down = True
    with wizard(*words, BTY_TEST_PACE=QUICK) as person:
        person.sees("has no images to give now", "cannot be asked", "What now?")
        person.take("Take an image of this computer")
        person.sees("Which image?", "packed.img.zst", "Images of the server")
        person.take("Images of the server")
        person.sees("has no images to give now")
        room.link.down = False
        person.take("Ask the server again")
        person.sees("Which image?", "Take an image of this computer")
        person.take("Take an image of this computer")
        person.sees("packed.img.zst")
        room.link.down = True
        to_summary(person, blank, "packed.img.zst")
        say_yes(person)
        person.sees("cannot say whether this machine may write now", "What now?")
        assert set(start(blank)) == {0xFF}
        person.take("Write without waiting for the server")
        person.sees("done: packed.img.zst", "does not know yet that this flash is done")
        room.link.down = False
        person.take("Tell the server now")
        person.sees("should this machine start from its own disk?")
        assert room.attempt().state is State.DONE
        assert room.attempt().image == "packed.img.zst"


def test_the_server_goes_away_in_the_middle_and_comes_back(room: Room, blank: Path) -> None:
    room.link.image_bytes = 10 * MIB
    with wizard(*room.booted(), BTY_TEST_PACE=QUICK) as person:
        to_summary(person, blank)
        say_yes(person)
        half_written(person)
        person.sees("writing")
        room.link.down = True
        person.sees("going on in")
        room.link.image_bytes = None
        room.link.down = False
        person.sees("done: small.img", "should this machine start from its own disk?")
        assert room.attempt().state is State.DONE
    assert start(blank) == (room.fleet.site.settings.image_root / "small.img").read_bytes()


def test_the_server_does_not_hear_of_the_end(room: Room, blank: Path) -> None:
    room.link.deaf_to = b"/done"
    with wizard(*room.booted(), BTY_TEST_PACE=QUICK) as person:
        to_summary(person, blank)
        say_yes(person)
        shown = person.sees("What now?", "does not know yet that this flash is done")
        assert "done: small.img is on" in shown
        assert room.attempt().state is not State.DONE
        person.take("Power off")  # asks first
        person.sees("The server does not know it yet. What now?")
        person.take("Back")
        person.sees("Flash another disk")
        room.link.deaf_to = None
        assert hears(room, State.DONE)  # told behind the scenes
        person.take("Tell the server now")
        person.sees("should this machine start from its own disk?")


def test_stop_in_the_middle(room: Room, blank: Path) -> None:
    room.link.image_bytes = 10 * MIB
    with wizard(*room.booted(), BTY_TEST_PACE=QUICK) as person:
        to_summary(person, blank)
        say_yes(person)
        half_written(person)
        person.sees("writing", "Ctrl-C asks whether to stop.")
        person.press(CTRL_C)
        person.sees("Stop writing? The disk will not boot then.")
        person.press(ENTER)
        person.sees("Ctrl-C asks whether to stop.", "writing")
        assert hears(room, State.RUNNING)
        person.press(CTRL_C)
        person.sees("Stop writing?")
        before = time.monotonic()
        say_yes(person)
        shown = person.sees("The image is not on the disk.", "What now?")
        assert time.monotonic() - before < 5
        assert f"{blank} does not boot now; flash it again" in shown
        assert hears(room, State.CANCELLED)
        assert not any(start(blank)[:MIB])
        room.link.image_bytes = None
        person.take("Try again")
        person.sees(f"Erase all of {blank.name}")
        say_yes(person)
        person.sees("done: small.img", "should this machine start from its own disk?")
        assert room.attempt().state is State.DONE
    assert start(blank) == (room.fleet.site.settings.image_root / "small.img").read_bytes()


def test_after_a_stop_another_flash_begins_without_the_server(
    room: Room, images: Path, blank: Path
) -> None:
    room.link.image_bytes = 10 * MIB
    with wizard(*room.booted(), BTY_TEST_PACE=QUICK) as person:
        to_summary(person, blank)
        say_yes(person)
        half_written(person)
        person.press(CTRL_C)
        person.sees("Stop writing?")
        say_yes(person)
        person.sees("The image is not on the disk.", "What now?")
        assert hears(room, State.CANCELLED)
        room.link.down = True
        person.take("Choose another image")
        person.sees("has no images to give now")
        person.take("Take an image of this computer")
        person.sees("Which image?")
        person.take("packed.img.zst")
        person.sees("Onto which disk?")
        choose(person, blank)
        person.sees(f"Erase all of {blank.name}")
        say_yes(person)
        person.sees("done: packed.img.zst")


def test_cancelled_on_the_page(room: Room, blank: Path) -> None:
    room.link.image_bytes = 10 * MIB
    with wizard(*room.booted(), BTY_TEST_PACE=QUICK) as person:
        to_summary(person, blank)
        say_yes(person)
        assert hears(room, State.RUNNING)
        room.fleet.cancel(room.mac)
        shown = person.sees("The image is not on the disk.", "an operator cancelled this attempt")
        assert f"{blank} does not boot now" in shown
        assert hears(room, State.CANCELLED)


def test_the_place_in_the_queue(tmp_path: Path, images: Path, blank: Path) -> None:
    other = MacAddress.parse("52:54:00:00:02:01")
    mac = MacAddress.parse("52:54:00:00:02:02")
    with fleet(tmp_path / "server", BTY_FLASH_LIMIT="1") as made, link(made.url) as way:
        made.add_image("small.img", (images / "small.img").read_bytes())
        first = ServerClient(made.url, other)
        first.open_attempt("tty1")
        assert first.progress(ProgressReport(phase=ReportedPhase.QUEUED)).queue_position is None
        room = Room(made, way, mac, tmp_path)
        with wizard(*room.booted(), BTY_TEST_PACE=QUICK) as person:
            to_summary(person, blank)
            say_yes(person)
            person.sees("place 1 in the queue of the server")
            assert set(start(blank)) == {0xFF}
            first.failed(FailedReport(code="error", message="it gave up"))
            person.sees("done: small.img")


def test_the_terminal_goes_away_in_the_middle(room: Room, blank: Path) -> None:
    room.link.image_bytes = 10 * MIB
    with wizard(*room.booted(), BTY_TEST_PACE=QUICK) as person:
        to_summary(person, blank)
        say_yes(person)
        half_written(person)
        person.child.kill(signal.SIGHUP)
        assert person.ended() == 130
    assert not any(start(blank)[:MIB])
    assert hears(room, State.CANCELLED)
