"""`bty-tui` and `bty-flash-on-boot` as a person starts them on a laptop, on machines that are files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from bty_agent.exits import Exit
from bty_core.values import MacAddress
from bty_web.models.words import State
from bty_web.services import machines
from tests.agent.pretend.machines import machine_file, saved
from tests.agent.running import small_image
from tests.agent.server.fleet import Fleet, fleet
from tests.agent.unattended.machine import PACE, Ended
from tests.agent.unattended.machine import run as run_on_boot
from tests.agent.wizard.person import ENTER, Person, wizard
from tests.conftest import MIB

_NUMBERS = count(1)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with one image."""
    folder = tmp_path / "images"
    folder.mkdir()
    small_image(folder)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A server with a small image."""
    folder = tmp_path_factory.mktemp("server")
    with fleet(folder) as made:
        made.add_image("small.img", small_image(folder).read_bytes())
        yield made


def words(name: str, images: Path) -> list[str | Path]:
    """Return what starts the wizard on a machine; its scratch files are beside the images."""
    pretend = ("--pretend", machine_file(name), "--scratch", images.parent / "scratch")
    return ["--root", images, *pretend]


def to_disks(person: Person) -> None:
    person.sees("Which image?", "Ctrl-C leave")
    person.take("small.img")
    person.sees("Onto which disk?", "Allow removable disks")


def erase(person: Person, disk: str, *, holds: bool) -> None:
    """Choose a disk, and be sure."""
    person.take(f"{disk} ")
    person.sees(f"Erase all of {disk}")
    person.press("y")
    person.sees("Yes")
    person.press(ENTER)
    if holds:
        person.sees(f"Type {disk} to erase it")
        person.press(*disk, ENTER)


def test_the_wizard_writes_a_disk_that_is_a_file(images: Path) -> None:
    with wizard(*words("nvme", images)) as person:
        to_disks(person)
        assert person.shown.startswith("bty (pretended)   Image > [Disk] > Check")
        person.sees("Samsung SSD 980 PRO 1TB", 'ntfs "Windows" 999 GB')
        erase(person, "nvme0n1", holds=True)
        person.sees("Reboot from this disk")  # it is a machine with UEFI
        person.take("Reboot from this disk")
        assert person.ended() == 0
    assert "the next boot starts /dev/nvme0n1" in person.shown
    assert "bty: the pretended machine would reboot now" in person.shown
    written = (images.parent / "scratch/nvme0n1.img").read_bytes()
    image = (images / "small.img").read_bytes()
    assert written[: len(image)] == image


def test_the_wizard_shows_what_cannot_be_chosen(images: Path) -> None:
    with wizard(*words("live-stick", images)) as person:
        to_disks(person)
        shown = person.sees("cannot be chosen: the running system or the live medium")
        assert "cannot be chosen: removable: allow it below first" in shown
        person.press("\x03")
        person.sees("Leave the wizard?")
        person.press("y")
        person.sees("Yes")
        person.press(ENTER)
        assert person.ended() == 0


def test_the_wizard_says_that_there_is_no_disk(images: Path) -> None:
    with wizard(*words("no-disk", images)) as person:
        person.sees("Which image?")
        person.take("small.img")
        person.sees("no disk")


def test_a_disk_that_goes_between_choice_and_write_leads_to_another(images: Path) -> None:
    with wizard(*words("trouble", images)) as person:
        to_disks(person)
        erase(person, "sdd", holds=False)
        person.sees("there is no /dev/sdd", "nothing was written to /dev/sdd")


def test_a_disk_that_breaks_is_named(images: Path) -> None:
    with wizard(*words("trouble", images)) as person:
        to_disks(person)
        erase(person, "sdb", holds=False)
        person.sees("writing /dev/sdb at byte 4194304 failed: Input/output error")
        person.sees("/dev/sdb does not boot now; flash it again")


def test_nothing_of_this_computer_is_mixed_with_a_pretended_machine(
    tmp_path: Path, images: Path
) -> None:
    line = "bty.mode=interactive bty.server=http://127.0.0.1:9 bty.mac=52:54:00:00:00:01"
    file = saved(tmp_path, command_line=line, nics=[{"name": "eth0", "mac": "52:54:00:00:00:01"}])
    with wizard("--root", images, "--pretend", file, TMPDIR=str(tmp_path)) as person:
        person.sees("http://127.0.0.1:9")  # what it was booted from, in its file
    with wizard(*words("nvme", images)) as person:
        assert "http" not in person.sees("Which image?")


class Box:
    """A machine that is a file, and the server that flashes it."""

    def __init__(self, server: Fleet, folder: Path, name: str) -> None:
        self.server, self.folder = server, folder
        self.mac = MacAddress.parse(f"52:54:00:00:0f:{next(_NUMBERS):02x}")
        machine = json.loads(machine_file(name).read_text())
        machine["nics"] = [{"name": "eth0", "mac": str(self.mac)}]
        self.file = folder / "machine.json"
        self.file.write_text(json.dumps(machine))

    def run(self, target: str, **options: str) -> Ended:
        """Assign an image and boot."""
        given = {"image": "small.img", "boot_policy": "flash", "target": target, **options}
        self.server.assign(self.mac, **given)
        pretend = ("--pretend", str(self.file), "--scratch", str(self.folder / "scratch"))
        line = self.server.boot(self.mac)
        return run_on_boot(line, self.folder / "run", *pretend, pace=PACE)


def test_an_unattended_machine_flashes_itself(server: Fleet, tmp_path: Path) -> None:
    box = Box(server, tmp_path, "sas-raid")
    ended = box.run("transport:sas,smallest")
    assert (ended.code, ended.failure) == (Exit.DONE, None), ended.console
    found = server.attempt(box.mac)
    assert (found.state, found.disk) == (State.DONE, "/dev/sda")
    assert (tmp_path / "scratch/sda.img").stat().st_size >= 8 * MIB
    with server.site.session() as session:
        told = machines.get(session, box.mac).inventory
        assert told is not None
        assert [disk["model"] for disk in told["disks"]] == ["PERC H730 Mini", "ST4000NM0295"]
        assert (told["vendor"], told["product"]) == ("Dell Inc.", "PowerEdge R730")


@pytest.mark.parametrize(
    ("name", "target", "code"),
    [
        ("equal-serials", "serial:AA00000000000489", "disk-ambiguous"),
        ("multipath", "/dev/sda", "disk-busy"),
        ("4kn", "largest", "sector-size"),
        ("no-disk", "only", "disk-not-found"),
        ("live-stick", "serial:4C530001", "running-system"),
    ],
)
def test_an_odd_machine_is_refused_and_says_why(
    server: Fleet, tmp_path: Path, name: str, target: str, code: str
) -> None:
    box = Box(server, tmp_path, name)
    ended = box.run(target)
    assert ended.code == Exit.REFUSED, ended.console
    assert ended.failure is not None
    assert (ended.failure.code, ended.failure.reported) == (code, True)
    assert server.attempt(box.mac).state is State.FAILED
    scratch = tmp_path / "scratch"
    assert [file for file in scratch.iterdir() if file.suffix == ".img"] == []


def test_a_disk_that_breaks_is_tried_again_and_reported(server: Fleet, tmp_path: Path) -> None:
    box = Box(server, tmp_path, "trouble")
    ended = box.run("/dev/sdb")
    assert ended.code == Exit.WRITE_FAILED, ended.console
    assert len(re.findall(r"trying again in", ended.console)) == 2
    assert ended.failure is not None
    assert "writing /dev/sdb at byte 4194304 failed" in ended.failure.message
    assert server.attempt(box.mac).state is State.FAILED


def test_without_a_command_line_of_its_own_nothing_is_flashed(tmp_path: Path) -> None:
    from subprocess import DEVNULL, run
    from sys import executable

    words = ("--pretend", str(machine_file("nvme")), "--scratch", str(tmp_path / "scratch"))
    ran = run(
        [executable, "-m", "bty_agent.unattended.main", *words],
        stdin=DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=dict(os.environ),
    )
    assert ran.returncode == Exit.DONE
    assert "the kernel command line asks for no unattended flash" in ran.stderr
