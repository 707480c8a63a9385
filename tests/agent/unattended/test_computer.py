"""What an unattended flash does to the computer beside its disk: clock, reboot, boot entry. None of it to this one."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from bty_agent.console import Console
from bty_agent.exits import Exit
from bty_agent.host import ThisComputer
from bty_agent.server.client import ServerClient
from bty_agent.unattended.failure import Failure, forget_failure, read_failure, write_failure
from bty_agent.unattended.main import main
from bty_core.disks.lsblk import parse
from bty_core.disks.model import Disk
from bty_core.disks.select import Selector, choose
from bty_core.disks.sysfs import KernelFacts
from bty_core.errors import CommandFailed
from bty_core.machine.model import Firmware
from bty_core.wire.plan import Mode, Options, Plan
from bty_web.models.words import State
from tests.agent.server.odd import Odd, Said, odd
from tests.agent.unattended.conftest import Box

DATA = Path(__file__).parents[2] / "data" / "lsblk"
pytestmark = [pytest.mark.root, pytest.mark.loop]


class Noting(ThisComputer):
    """This computer, which is neither set nor restarted."""

    def __init__(self) -> None:
        super().__init__()
        self.clock: datetime | None = None
        self.reboots = 0
        self.stays = False
        self.entries: list[str] = []
        self.entry_fails = False
        self.choice: list[Disk] | None = None

    def find(self, selector: Selector) -> Disk:
        return super().find(selector) if self.choice is None else choose(self.choice, selector)

    def boot_once(self, disk: Disk, title: str) -> str:
        if self.entry_fails:
            raise CommandFailed("the firmware takes no boot entry")
        self.entries.append(f"{disk.path} {title}")
        return f"the next boot starts {title}"

    def set_clock(self, to: datetime) -> None:
        self.clock = to

    def reboot(self) -> None:
        if self.stays:
            raise CommandFailed("systemctl failed")
        self.reboots += 1


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BTY_TEST_PACE", "0.02")


def flash(line: str, folder: Path, computer: Noting, *options: str) -> tuple[Exit, str]:
    """Run the program in this process."""
    cmdline = folder / "cmdline"
    cmdline.write_text(line)
    out, err = io.StringIO(), io.StringIO()
    words = ["--cmdline", str(cmdline), "--run-dir", str(folder / "run"), *options]
    code = main(words, Console(stdin=io.StringIO(), stdout=out, stderr=err), computer)
    assert out.getvalue() == ""
    return code, err.getvalue()


def test_the_computer_is_started_again_after_the_server_knows(box: Box) -> None:
    box.assign()
    computer = Noting()
    code, said = flash(box.boot(), box.folder, computer)
    assert (code, computer.reboots, computer.clock) == (Exit.DONE, 1, None)
    assert said.endswith("reboots now\n")
    assert box.attempt().state is State.DONE


def test_a_failure_starts_nothing_again(box: Box) -> None:
    box.assign(target="serial:NONE")
    computer = Noting()
    assert flash(box.boot(), box.folder, computer)[0] is Exit.REFUSED
    assert computer.reboots == 0


def test_a_computer_that_does_not_start_again_is_left_to_a_person(box: Box) -> None:
    box.assign()
    computer = Noting()
    computer.stays = True
    code, said = flash(box.boot(), box.folder, computer)
    assert code is Exit.BUG
    assert "all is done, and this machine does not reboot: systemctl failed" in said
    left = read_failure(box.folder / "run")
    assert left is not None
    assert left.reported
    assert box.attempt().state is State.DONE


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"image": None}, "the server names no image"),
        ({"target": None}, "the server names no target"),
        ({"target": "size>=many"}, "the plan makes no sense: 'many' is not a size"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_and_reported(
    box: Box, changed: dict[str, object], sentence: str
) -> None:
    (offer,) = ServerClient(box.fleet.url, box.mac).images()
    plan = Plan(mode=Mode.AUTO, attempt=7, image=offer, target=str(box.disk)).wire()
    with odd() as server:
        server.answers["plan"] = Said(body={**plan, **changed})
        code, said = flash(line_for(server), box.folder, Noting())
        (failed,) = server.bodies("failed")
    assert (code, failed["code"]) == (Exit.REFUSED, "plan-incomplete")
    assert sentence in said
    assert sentence in str(failed["message"])
    assert str(failed["message"]) in str(failed["log"])


def test_an_inventory_that_the_server_does_not_take_stops_nothing(box: Box) -> None:
    (offer,) = ServerClient(box.fleet.url, box.mac).images()
    plan = Plan(mode=Mode.AUTO, attempt=7, image=offer, target=str(box.disk))
    with odd() as server:
        server.answers["plan"] = Said(body=plan.wire())
        server.answers["inventory"] = Said(
            status=422, body={"detail": "'disks[0].path' is missing"}
        )
        code, said = flash(line_for(server), box.folder, Noting())
        assert len(server.bodies("done")) == 1
    assert code is Exit.DONE
    assert "'disks[0].path' is missing" in said


def test_a_target_that_matches_several_disks_lists_them(box: Box) -> None:
    box.assign(target="size>=1G")
    computer = Noting()
    computer.choice = parse((DATA / "equal-serials.json").read_text(), facts=KernelFacts())
    code, said = flash(box.boot(), box.folder, computer)
    found = box.attempt()
    assert (code, found.state, found.code) == (Exit.REFUSED, State.FAILED, "disk-ambiguous")
    assert found.message is not None
    assert found.message in said


@pytest.mark.parametrize("fails", [False, True])
def test_a_boot_entry_is_made_where_the_plan_says_so_and_fails_nothing(
    box: Box, fails: bool
) -> None:
    (offer,) = ServerClient(box.fleet.url, box.mac).images()
    plan = Plan(
        mode=Mode.AUTO,
        attempt=7,
        image=offer,
        target=str(box.disk),
        options=Options(uefi_entry=True),
    )
    computer = Noting()
    computer.entry_fails = fails
    computer.firmware = Firmware.UEFI
    with odd() as server:
        server.answers["plan"] = Said(body=plan.wire())
        code, said = flash(line_for(server), box.folder, computer)
        assert len(server.bodies("done")) == 1
    assert (code, computer.reboots) == (Exit.DONE, 1), said
    assert computer.entries == ([] if fails else [f"{box.disk} small.img"])
    assert ("the firmware takes no boot entry" if fails else "the next boot starts") in said


def test_a_machine_that_bios_started_is_flashed_without_a_boot_entry(box: Box) -> None:
    (offer,) = ServerClient(box.fleet.url, box.mac).images()
    options = Options(uefi_entry=True)
    target = str(box.disk)
    plan = Plan(mode=Mode.AUTO, attempt=7, image=offer, target=target, options=options)
    computer = Noting()
    computer.firmware = Firmware.BIOS
    with odd() as server:
        server.answers["plan"] = Said(body=plan.wire())
        code, said = flash(line_for(server), box.folder, computer)
    assert (code, computer.reboots, computer.entries) == (Exit.DONE, 1, [])
    why = "attempt 7 will make no boot entry: this machine was not started by UEFI"
    assert said.index(why) < said.index("attempt 7 writes small.img")


def line_for(server: Odd) -> str:
    """Return a kernel command line for a server that knows no machines."""
    return (
        f"bty.mode=auto bty.server={server.url} bty.mac=52:54:00:12:34:56"
        " bty.attempt=7 bty.token=7-t"
    )


@pytest.mark.parametrize(
    ("ahead", "options", "is_set", "sentence"),
    [
        (timedelta(days=3650), [], True, "the clock was behind"),
        (timedelta(days=3650), ["--no-reboot"], False, "would set the clock"),
        (timedelta(minutes=1), [], False, None),
        (timedelta(days=-3650), [], False, None),
    ],
)
def test_a_clock_that_is_plainly_behind_follows_the_server_and_never_goes_back(
    tmp_path: Path, ahead: timedelta, options: list[str], is_set: bool, sentence: str | None
) -> None:
    theirs = datetime.now(UTC) + ahead
    wizard = {"mode": "interactive", "reason": "somebody is wanted"}
    with odd(Said(body=wizard, headers={"Date": format_datetime(theirs, usegmt=True)})) as server:
        computer = Noting()
        code, said = flash(line_for(server), tmp_path, computer, *options)
    assert code is Exit.DONE
    assert (computer.clock is not None) is is_set
    if computer.clock:
        assert abs(computer.clock - theirs) < timedelta(seconds=10)
    assert sentence is None or sentence in said
    assert "the server wants a person here: somebody is wanted" in said


def test_what_is_left_for_the_wizard_is_what_it_reads(tmp_path: Path) -> None:
    assert read_failure(tmp_path) is None
    left = Failure(code="write-failed", message="no \N{SNOWMAN}", attempt=7, exit_code=8)
    write_failure(left, tmp_path)
    assert read_failure(tmp_path) == left
    assert left.title == "attempt 7 failed: no \N{SNOWMAN}"
    forget_failure(tmp_path)
    assert read_failure(tmp_path) is None
    write_failure(left, tmp_path / "none")  # no second failure


@pytest.mark.parametrize("text", ["", "[]", "{", '{"code": 7}', '{"code": "x"}', "[" * 100_000])
def test_rubbish_that_is_left_is_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "failure.json").write_text(text)
    assert read_failure(tmp_path) is None


def test_a_folder_that_takes_nothing_is_named(box: Box) -> None:
    box.assign()
    (box.folder / "run").write_text("a file")
    code, said = flash(box.boot(), box.folder, Noting())
    assert code is Exit.NEEDS_ROOT
    assert "--run-dir" in said
