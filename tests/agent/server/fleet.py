"""A real `bty-web serve` with images and machines, and the machine's side of a network boot."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bty_core.values import MacAddress
from bty_web.models import Attempt
from bty_web.models.words import State
from bty_web.services import attempts, catalog, clock, machines
from bty_web.settings import Settings
from tests.web.pxe.walk import add_live_environment
from tests.web.serving.server import PATIENCE, Server, serving, wait_until
from tests.web.site import MAC, OPERATOR, Site, make_site


@dataclass
class Fleet:
    """One server in processes of its own, and its database beside it, for preparing and looking."""

    site: Site
    folder: Path
    server: Server

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.server.url

    def add_image(self, name: str, content: bytes, **values: Any) -> Path:
        """Put an image into the catalog as if it had been measured."""
        path = self.site.settings.image_root / name
        path.write_bytes(content)
        measured = {
            "size_bytes": len(content),
            "virtual_size_bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "stamp": catalog.stamp(path.stat()),
        }
        self.site.add_image(name, **{**measured, **values})
        return path

    def assign(self, mac: MacAddress = MAC, **assigned: str | None) -> None:
        """Add a machine that is assigned something."""
        self.site.add_machine(mac, **assigned)

    def boot(self, mac: MacAddress = MAC) -> str:
        """Boot a machine from the network; return its kernel command line, or its script without one."""
        script = self.server.get(f"/pxe/{mac.hyphens}?platform=efi").text
        found = re.search(r"^kernel .*$", script, re.MULTILINE)
        return found[0] if found else script

    def attempt(self, mac: MacAddress = MAC) -> Attempt:
        """Return the newest attempt of a machine."""
        with self.site.session() as session:
            found = attempts.latest(session, machines.get(session, mac))
            assert found is not None
            session.expunge(found)
            return found

    def state(self, mac: MacAddress = MAC) -> State:
        """Return the state of the newest attempt of a machine."""
        return self.attempt(mac).state

    def cancel(self, mac: MacAddress = MAC) -> None:
        """Press *Cancel* on the page of a machine."""
        with self.site.session() as session:
            machine = machines.get(session, mac)
            found = attempts.latest(session, machine)
            assert found is not None
            attempts.cancel(session, machine, found, by=OPERATOR, now=clock.now())

    def hears(self, *states: State, mac: MacAddress = MAC) -> bool:
        """Wait until the newest attempt is in one of `states`."""
        return wait_until(lambda: self.state(mac) in states, PATIENCE)


@contextmanager
def fleet(folder: Path, **environ: str) -> Iterator[Fleet]:
    """Run a server until the block is left."""
    site = prepared(folder)
    try:
        with serving(folder, **environ) as server:
            yield Fleet(site, folder, server)
    finally:
        close(site)


def prepared(folder: Path) -> Site:
    """Make the state of a server that nobody has started yet."""
    settings = Settings(state_dir=folder / "state")
    for made in (settings.state_dir, settings.image_root, settings.boot_dir):
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
    site = make_site(settings)
    add_live_environment(site)
    return site


def close(site: Site) -> None:
    """Let go of the database."""
    from bty_web.extensions import db

    site.engine.dispose()
    with site.app.app_context():
        db.engine.dispose()


def words(line: str) -> dict[str, str]:
    """Return the words for bty of a kernel command line."""
    return dict(re.findall(r"bty\.(\w+)=(\S+)", line))
