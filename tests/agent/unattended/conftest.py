"""One server for the tests of a file; a machine and a disk for each test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from bty_core.values import MacAddress
from bty_web.models import Attempt
from bty_web.models.words import State
from tests.agent.running import small_image
from tests.agent.server.fleet import Fleet, fleet
from tests.agent.unattended.link import Link, link
from tests.agent.unattended.machine import PACE, Ended, run
from tests.conftest import MIB, MakeLoop
from tests.web.serving.server import wait_until

_NUMBERS = count(1)


@dataclass
class Box:
    """One machine: its address, its disk, its server."""

    fleet: Fleet
    mac: MacAddress
    disk: Path
    folder: Path

    def assign(self, image: str = "small.img", policy: str = "flash", **values: str) -> None:
        """Let it be flashed onto its disk."""
        given = {"image": image, "boot_policy": policy, "target": str(self.disk), **values}
        self.fleet.assign(self.mac, **given)

    def boot(self, via: Link | None = None) -> str:
        """Boot it from the network; return its kernel command line."""
        line = self.fleet.boot(self.mac)
        return line.replace(self.fleet.url, via.url) if via else line

    def run(self, line: str | None = None, *options: str, pace: str = PACE) -> Ended:
        """Boot it, and run the program to its end."""
        return run(line or self.boot(), self.folder / "run", *options, pace=pace)

    def attempt(self) -> Attempt:
        """What the server knows of its newest attempt."""
        return self.fleet.attempt(self.mac)

    def writes(self) -> bool:
        """Wait until the server knows that bytes are on the disk."""
        return wait_until(lambda: self.attempt().disk_bytes > 0)

    def hears(self, *states: State) -> bool:
        """Wait until the server has its newest attempt in one of `states`."""
        return self.fleet.hears(*states, mac=self.mac)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A server with a small image."""
    folder = tmp_path_factory.mktemp("server")
    with fleet(folder) as made:
        made.add_image("small.img", small_image(folder).read_bytes())
        yield made


@pytest.fixture
def box(server: Fleet, make_loop: MakeLoop, tmp_path: Path) -> Box:
    """A machine with one disk of 16 MiB, full of 0xFF."""
    mac = MacAddress.parse(f"52:54:00:00:00:{next(_NUMBERS):02x}")
    return Box(server, mac, make_loop(16 * MIB), tmp_path)


@pytest.fixture
def network(server: Fleet) -> Iterator[Link]:
    """What lies between a machine and its server."""
    with link(server.url) as made:
        yield made
