"""A machine that is flashed unattended gets the seed that its server keeps, and only the disk has it afterwards."""

from __future__ import annotations

import pytest

from bty_agent.exits import Exit
from bty_web.models import Attempt, Machine
from bty_web.models.words import State
from bty_web.services import clock, machines, seeds
from bty_web.services.history import Actor
from bty_web.services.seeds import SeedTexts
from bty_web.services.vault import Vault
from tests.agent.server.fleet import Fleet
from tests.agent.unattended.conftest import Box
from tests.agent.unattended.test_failures import agrees
from tests.conftest import MIB, MakeLoop
from tests.core.provisioning.disks import inside, make_image

pytestmark = [pytest.mark.root, pytest.mark.loop]

SECRET = "swordfish-7f3a"


@pytest.fixture(scope="module")
def cloud_server(server: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """The server, with an image that has cloud-init."""
    image = make_image(tmp_path_factory.mktemp("image") / "cloud.img")
    server.add_image("cloud.img", image.read_bytes())
    return server


@pytest.fixture
def seeded(cloud_server: Fleet, box: Box, make_loop: MakeLoop) -> Box:
    """A machine that is to get an image with cloud-init, and a secret seed."""
    assert box.fleet is cloud_server
    box.disk = make_loop(64 * MIB)
    box.assign("cloud.img", provisioning_mode="cloud-init")
    with box.fleet.site.session() as session:
        machine: Machine = machines.get(session, box.mac, lock=True)
        machine.name = f"build-{box.mac.text[-2:]}"
        seeds.keep(
            session,
            machine,
            SeedTexts(
                user_data=f"#cloud-config\nhostname: {{{{ hostname }}}}\npassword: {SECRET}\n"
            ),
            secret=True,
            vault=Vault(box.fleet.site.settings.state_dir),
            by=Actor("operator"),
            now=clock.now(),
        )
    return box


def test_the_seed_is_on_the_disk_and_in_no_log(seeded: Box) -> None:
    ended = seeded.run()
    assert (ended.code, seeded.attempt().state) == (Exit.DONE, State.DONE), ended.console
    folder = "var/lib/cloud/seed/nocloud-net"
    assert inside(seeded.disk, f"cat {folder}/user-data") == (
        f"#cloud-config\nhostname: build-{seeded.mac.text[-2:]}\npassword: {SECRET}\n"
    )
    assert "instance-id: bty-" in inside(seeded.disk, f"cat {folder}/meta-data")
    assert SECRET not in ended.console
    logs = [path for path in seeded.folder.rglob("*") if path.is_file() and path.suffix == ".log"]
    assert logs
    assert not [path for path in logs if SECRET in path.read_text(errors="replace")]


def test_a_seed_that_was_given_out_already_fails_before_anything_is_written(seeded: Box) -> None:
    line = seeded.boot()
    number = seeded.attempt().id
    with seeded.fleet.site.session() as session:
        session.get_one(Attempt, number).secrets_released_at = clock.now()
    ended = seeded.run(line)
    agrees(seeded, ended, Exit.REFUSED, State.FAILED, "cannot-provision", "was given out already")
    assert seeded.disk.read_bytes()[:MIB] == b"\xff" * MIB
