"""Unattended flashes with a server that is away, operators who cancel, machines that wait, several consoles."""

from __future__ import annotations

import signal
import time
from datetime import timedelta

import pytest

from bty_agent.exits import Exit
from bty_agent.unattended.failure import read_failure
from bty_core.values import MacAddress
from bty_web.models.words import State
from bty_web.services import attempts
from bty_web.services.clock import now
from tests.agent.unattended.conftest import Box
from tests.agent.unattended.link import Link
from tests.agent.unattended.machine import booted
from tests.agent.unattended.test_policies import untouched, written
from tests.conftest import MIB
from tests.web.serving.server import wait_until

pytestmark = [pytest.mark.root, pytest.mark.loop]


def test_a_server_that_is_away_at_first_is_waited_for(box: Box, network: Link) -> None:
    box.assign()
    line = box.boot(network)
    network.down = True
    with booted(line, box.folder / "run") as boot:
        assert boot.says("waits for the server: the server http://127.0.0.1:[0-9]+ cannot be asked")
        time.sleep(1)
        assert boot.process.poll() is None
        network.down = False
        ended = boot.end()
    assert (ended.code, ended.failure) == (Exit.DONE, None), ended.console
    assert box.attempt().state is State.DONE
    assert written(box)


def test_a_server_that_never_comes_is_given_up_for_the_wizard(box: Box, network: Link) -> None:
    box.assign()
    line = box.boot(network)
    network.down = True
    started = time.monotonic()
    ended = box.run(line, pace="0.001")
    assert time.monotonic() - started < 30
    assert ended.code is Exit.UNREACHABLE
    assert ended.failure is not None
    assert (ended.failure.code, ended.failure.reported) == ("server-unreachable", False)
    assert ended.lines[-1].endswith("the server does not know this")
    assert box.attempt().state is State.OFFERED
    assert untouched(box)


def test_a_server_that_goes_in_the_middle_is_waited_for_and_the_flash_is_done_again(
    box: Box, network: Link
) -> None:
    network.image_bytes = 8 * MIB
    box.assign()
    with booted(box.boot(network), box.folder / "run") as boot:
        assert box.writes()
        network.down = True
        assert boot.says(r"trying again in .* \(try 2 of 3\)")
        assert boot.says("waits for the server")
        network.image_bytes = None
        network.down = False
        ended = boot.end()
    assert (ended.code, ended.failure) == (Exit.DONE, None), ended.console
    found = box.attempt()
    assert (found.state, found.try_number) == (State.DONE, 2)
    assert written(box)


def test_a_machine_that_comes_late_flashes_all_the_same(box: Box) -> None:
    box.assign()
    line = box.boot()
    fall_silent(box, minutes=16)
    assert box.attempt().state is State.ABANDONED
    ended = box.run(line)
    assert (ended.code, ended.failure) == (Exit.DONE, None), ended.console
    assert box.attempt().state is State.DONE
    assert written(box)


def test_a_machine_that_was_given_up_while_its_server_was_away_goes_on(
    box: Box, network: Link
) -> None:
    network.image_bytes = 8 * MIB
    box.assign()
    with booted(box.boot(network), box.folder / "run", pace="0.05") as boot:
        assert box.writes()
        network.down = True
        assert boot.says("waits for the server")
        fall_silent(box, minutes=6)
        assert box.attempt().state is State.ABANDONED
        network.image_bytes = None
        network.down = False
        ended = boot.end()
    assert (ended.code, ended.failure) == (Exit.DONE, None), ended.console
    assert box.attempt().state is State.DONE
    assert written(box)


def fall_silent(box: Box, minutes: int) -> None:
    """Let the clock of the server find that the machine was silent for so long."""
    with box.fleet.site.session() as session:
        attempts.time_out(session, now() + timedelta(minutes=minutes))


def test_a_link_that_breaks_for_a_moment_is_no_other_try(box: Box, network: Link) -> None:
    network.image_bytes = 8 * MIB
    box.assign()
    with booted(box.boot(network), box.folder / "run", pace="1") as boot:
        assert box.writes()
        network.down = True
        assert boot.says("going on from byte")
        network.image_bytes = None
        network.down = False
        ended = boot.end()
    assert (ended.code, ended.failure) == (Exit.DONE, None), ended.console
    assert "try 2 of" not in ended.console
    assert box.attempt().state is State.DONE
    assert written(box)


def test_a_server_that_is_away_at_the_end_is_told_when_it_is_back(box: Box, network: Link) -> None:
    network.deaf_to = b"/done "
    box.assign()
    with booted(box.boot(network), box.folder / "run") as boot:
        assert boot.says("is done, and cannot say so")
        assert box.attempt().state is not State.DONE
        network.deaf_to = None
        ended = boot.end()
    assert ended.code is Exit.DONE
    assert ended.lines[-2].endswith("the server knows that it is done")
    assert ended.lines[-1].endswith("would reboot now")
    assert box.attempt().state is State.DONE


def test_a_machine_that_cannot_say_that_it_is_done_reboots_after_a_while(
    box: Box, network: Link
) -> None:
    network.deaf_to = b"/done "
    box.assign()
    ended = box.run(box.boot(network), pace="0.005")
    assert (ended.code, ended.failure) == (Exit.DONE, None), ended.console
    assert "the server does not know that it is done" in ended.console
    assert ended.lines[-1].endswith("would reboot now")
    assert written(box)
    assert box.attempt().state is State.VERIFYING


def test_who_ends_the_program_when_all_is_done_is_told_what_is_on_the_disk(
    box: Box, network: Link
) -> None:
    network.deaf_to = b"/done "
    box.assign()
    with booted(box.boot(network), box.folder / "run", pace="1") as boot:
        assert boot.says("is done, and cannot say so")
        boot.interrupt()
        ended = boot.end()
    assert ended.code is Exit.UNREACHABLE
    assert ended.failure is not None
    assert (ended.failure.code, ended.failure.reported) == ("unreported", False)
    assert ended.failure.aftermath == f"{box.disk} holds the image and can be booted"
    assert box.attempt().state not in (State.FAILED, State.CANCELLED)
    assert written(box)


def test_a_cancel_stops_the_write_within_seconds(box: Box, network: Link) -> None:
    network.image_bytes = 8 * MIB
    box.assign()
    with booted(box.boot(network), box.folder / "run", pace="1") as boot:
        assert box.writes()
        started = time.monotonic()
        box.fleet.cancel(box.mac)
        ended = boot.end()
        seconds = time.monotonic() - started
    assert seconds < 10
    found = box.attempt()
    assert (found.state, found.code) == (State.CANCELLED, "cancelled")
    assert ended.code is Exit.INTERRUPTED
    assert ended.failure is not None
    assert (ended.failure.code, ended.failure.reported) == ("cancelled", True)
    assert ended.failure.aftermath == f"{box.disk} does not boot now; flash it again"
    assert f"attempt {found.id} was cancelled: an operator cancelled this attempt" in ended.console
    assert "try" not in ended.failure.message
    assert "would reboot now" not in ended.console
    assert box.disk.read_bytes()[:MIB] == bytes(MIB)


def test_an_attempt_that_was_cancelled_before_it_began_writes_nothing(box: Box) -> None:
    box.assign()
    line = box.boot()
    box.fleet.cancel(box.mac)
    ended = box.run(line)
    assert ended.code is Exit.INTERRUPTED, ended.console
    assert ended.failure is not None
    assert ended.failure.code == "cancelled"
    assert "would reboot" not in ended.console
    assert box.attempt().state is State.CANCELLED
    assert untouched(box)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_ends_the_program_leaves_a_disk_that_does_not_boot_and_a_server_that_knows(
    box: Box, network: Link, number: signal.Signals
) -> None:
    network.image_bytes = 8 * MIB
    box.assign()
    with booted(box.boot(network), box.folder / "run") as boot:
        assert box.writes()
        boot.process.send_signal(number)
        ended = boot.end()
    assert ended.code is Exit.INTERRUPTED
    assert ended.failure is not None
    assert ended.failure.message == "interrupted"
    assert box.attempt().state is State.CANCELLED
    assert box.disk.read_bytes()[:MIB] == bytes(MIB)


def test_a_killed_program_leaves_the_flash_to_the_next_one(box: Box, network: Link) -> None:
    network.image_bytes = 8 * MIB
    box.assign()
    line = box.boot(network)
    with booted(line, box.folder / "run") as boot:
        assert box.writes()
        boot.process.kill()
        boot.process.wait()
    network.image_bytes = None
    ended = box.run(line)
    assert (ended.code, ended.failure) == (Exit.DONE, None), ended.console
    assert box.attempt().state is State.DONE


def test_the_first_console_owns_the_flash_and_the_others_show_it(box: Box, network: Link) -> None:
    network.image_bytes = 8 * MIB
    box.assign()
    line = box.boot(network)
    run_dir = box.folder / "run"
    with booted(line, run_dir) as first:
        assert box.writes()
        with booted(line, run_dir) as second, booted(line, run_dir) as third:
            time.sleep(1)
            assert second.process.poll() is None
            network.image_bytes = None
            ended = [one.end() for one in (first, second, third)]
    assert [one.code for one in ended] == [Exit.DONE] * 3
    name = f"bty: attempt {box.attempt().id}"
    for other in ended[1:]:
        assert other.lines[0] == "bty: this machine is being flashed from a service, which says:"
        assert other.lines[1:-1] == ended[0].lines
        assert other.lines[-1] == "bty: the flash from a service has ended"
        assert f"{name} would reboot now" in other.lines
    assert len([one for one in network.requests if "/done" in one]) == 1


def test_what_is_left_for_the_wizard_is_taken_away_by_the_next_flash(box: Box) -> None:
    box.assign(target="serial:NONE")
    assert box.run().failure is not None
    box.mac = MacAddress.parse("52:54:03:00:00:01")
    box.assign()
    assert box.run().failure is None
    assert read_failure(box.folder / "run") is None
    assert wait_until(lambda: box.attempt().state is State.DONE, 5)


def test_a_console_that_only_follows_waits_for_the_owner_and_never_begins(box: Box) -> None:
    box.assign()
    line = box.boot()
    run_dir = box.folder / "run"
    run_dir.mkdir()
    with booted(line, run_dir, "--follow") as console:
        time.sleep(2)  # long enough for one that begins by itself
        assert console.process.poll() is None
        assert untouched(box)
        with booted(line, run_dir) as service:
            assert service.end().code is Exit.DONE
        said = console.end()
    assert said.code is Exit.DONE
    assert said.lines[0].startswith("bty: this machine is being flashed from ")
    assert f"bty: attempt {box.attempt().id} would reboot now" in said.lines
    assert written(box)
