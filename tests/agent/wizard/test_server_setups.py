"""A person sets up at the wizard what the server has for the machine: its seed, its workflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from bty_web.models.words import State
from bty_web.services import clock, machines, seeds
from bty_web.services.history import Actor
from bty_web.services.seeds import SeedTexts
from bty_web.services.vault import Vault
from tests.agent.wizard.conftest import Room
from tests.agent.wizard.person import ENTER, Person, wizard
from tests.agent.wizard.test_local import choose, say_yes, to_disks
from tests.agent.wizard.test_served import QUICK
from tests.conftest import MIB, MakeLoop
from tests.core.provisioning.disks import CLOUD, inside, make_image

pytestmark = [pytest.mark.root, pytest.mark.loop]

TASK = "doc: Places a file\nsteps:\n- name: place\n  run: echo placed >$BTY_ROOTFS/placed; touch $BTY_ROOTFS/again\n"


@pytest.fixture
def disk(room: Room, make_loop: MakeLoop, tmp_path: Path) -> Path:
    """A disk for an image with cloud-init, which the server has."""
    if not (room.fleet.site.settings.image_root / "cloud.img").exists():
        image = make_image(tmp_path / "cloud.img", script=f"{CLOUD}; touch etc/os-release")
        room.fleet.add_image("cloud.img", image.read_bytes())
    return make_loop(64 * MIB)


def assign(room: Room, mode: str, workflow: str | None = None) -> None:
    """Let the machine be provisioned, and keep a secret seed for it."""
    room.fleet.assign(room.mac, provisioning_mode=mode, workflow=workflow)
    with room.fleet.site.session() as session:
        machine = machines.get(session, room.mac, lock=True)
        seeds.keep(
            session,
            machine,
            SeedTexts(user_data="#cloud-config\nhostname: {{ hostname }}\n"),
            secret=True,
            vault=Vault(room.fleet.site.settings.state_dir),
            by=Actor("operator"),
            now=clock.now(),
        )


def to_setups(person: Person, disk: Path) -> None:
    to_disks(person, "cloud.img")
    choose(person, disk)
    person.sees("What to set up on it?", "none")


def test_the_seed_of_the_server(room: Room, disk: Path) -> None:
    assign(room, "cloud-init")
    with wizard(*room.booted(), BTY_TEST_PACE=QUICK) as person:
        to_setups(person, disk)
        assert "cloud-init of the server" in person.pointed
        person.take("cloud-init of the server")
        person.sees(f"Erase all of {disk.name}", "set up   cloud-init of the server")
        person.press("n", ENTER)
        person.sees("What to set up on it?")
        # What is given out once is kept for a person who thinks again.
        person.take("cloud-init of the server")
        person.sees(f"Erase all of {disk.name}")
        say_yes(person)
        person.sees("should this machine start from its own disk?")
        assert room.attempt().state is State.DONE
    seed = inside(disk, "cat var/lib/cloud/seed/nocloud-net/user-data")
    assert seed == f"#cloud-config\nhostname: bty-{room.mac.text.replace(':', '')}\n"


def test_the_workflow_of_the_server_and_its_report(room: Room, disk: Path) -> None:
    room.fleet.site.add_workflow("place", {"task.yaml": TASK})
    assign(room, "cijoe", "place")
    with wizard(*room.booted(), BTY_TEST_PACE=QUICK) as person:
        to_setups(person, disk)
        person.take("cijoe of the server")
        person.sees(f"Erase all of {disk.name}")
        say_yes(person)
        person.sees("should this machine start from its own disk?")
    attempt = room.attempt()
    assert (attempt.state, attempt.workflow) == (State.DONE, "place@1")
    assert attempt.report_at is not None
    assert inside(disk, "cat placed") == "placed\n"


def test_nothing_is_set_up_where_the_person_says_so(room: Room, disk: Path) -> None:
    assign(room, "cloud-init")
    with wizard(*room.booted(), BTY_TEST_PACE=QUICK) as person:
        to_setups(person, disk)
        person.take("none")
        person.sees(f"Erase all of {disk.name}")
        say_yes(person)
        person.sees("should this machine start from its own disk?")
    assert room.attempt().secrets_released_at is None
    assert inside(disk, "ls var/lib/cloud/seed") == ""
