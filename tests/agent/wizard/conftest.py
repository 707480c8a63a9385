"""A folder of images, a disk that holds something, a server and the way to it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from bty_core.values import MacAddress
from bty_web.models import Attempt
from tests.agent.running import small_image
from tests.agent.server.fleet import Fleet, fleet
from tests.agent.unattended.link import Link, link
from tests.conftest import MIB, MakeLoop
from tests.fakes.images import zstd

_NUMBERS = count(1)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with two images."""
    folder = tmp_path / "images"
    folder.mkdir()
    raw = small_image(folder, "small.img").read_bytes()
    (folder / "small.img.yaml").write_text("description: An image for tests\n")
    (folder / "packed.img.zst").write_bytes(zstd(raw))
    return folder


@pytest.fixture
def blank(make_loop: MakeLoop) -> Path:
    """A disk of 32 MiB that holds nothing."""
    return make_loop(32 * MIB)


@pytest.fixture
def used(make_loop: MakeLoop) -> Path:
    """A disk of 32 MiB that holds a filesystem."""
    disk = make_loop(32 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-L", "precious", disk], check=True)
    return disk


@dataclass
class Room:
    """A server, a way to it, and one machine."""

    fleet: Fleet
    link: Link
    mac: MacAddress
    folder: Path

    def booted(self) -> list[str | Path]:
        """Boot the machine from the network; return the words of its wizard."""
        line = self.fleet.boot(self.mac).replace(self.fleet.url, self.link.url)
        (self.folder / "cmdline").write_text(line)
        return self.words("--cmdline", self.folder / "cmdline")

    def by_hand(self) -> list[str | Path]:
        """Return the words of a wizard that a person starts."""
        (self.folder / "cmdline").write_text("quiet")
        nothing = ("--cmdline", self.folder / "cmdline")
        return self.words("--server", self.link.url, "--mac", str(self.mac), *nothing)

    def words(self, *argv: str | Path) -> list[str | Path]:
        return [*argv, "--run-dir", self.folder / "run", "--root", self.folder / "images"]

    def attempt(self) -> Attempt:
        """What the server knows of the machine's newest attempt."""
        return self.fleet.attempt(self.mac)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A server with a small image."""
    folder = tmp_path_factory.mktemp("server")
    with fleet(folder) as made:
        made.add_image("small.img", small_image(folder).read_bytes(), description="For tests")
        yield made


@pytest.fixture
def room(server: Fleet, tmp_path: Path) -> Iterator[Room]:
    """The server, and a machine that is new to it."""
    mac = MacAddress.parse(f"52:54:00:00:01:{next(_NUMBERS):02x}")
    with link(server.url) as made:
        yield Room(server, made, mac, tmp_path)
