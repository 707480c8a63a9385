"""A backup has what is kept encrypted, and the key to it only where somebody asked for that."""

from __future__ import annotations

from pathlib import Path

import pytest

from bty_web.errors import VaultLocked
from bty_web.services import backups, machines, seeds
from bty_web.services.restoring import restore
from bty_web.services.seeds import SeedTexts
from bty_web.services.vault import NAME, Vault
from tests.web.site import MAC, NOW, OPERATOR, Site

SECRET = "#cloud-config\npassword: swordfish\n"


def kept(site: Site) -> str:
    """Return the seed of the machine in the clear, with the key that the state folder has."""
    with site.session() as session:
        seed = seeds.find(session, machines.get(session, MAC))
        assert seed is not None
        return seeds.opened(seed, Vault(site.settings.state_dir)).texts.user_data


@pytest.fixture
def secretive(site: Site) -> Site:
    """A server with a secret seed."""
    site.add_machine()
    with site.session() as session:
        seeds.keep(
            session,
            machines.get(session, MAC, lock=True),
            SeedTexts(user_data=SECRET),
            secret=True,
            vault=Vault(site.settings.state_dir),
            by=OPERATOR,
            now=NOW,
        )
    return site


@pytest.mark.parametrize("asked", [True, False])
def test_another_server_opens_it_only_with_the_key(
    secretive: Site, tmp_path: Path, asked: bool
) -> None:
    file = tmp_path / "backup"
    backups.make(secretive.settings, file, now=NOW, secrets=asked)
    # Another server has a key of its own.
    (secretive.settings.state_dir / NAME).unlink()
    Vault(secretive.settings.state_dir)
    secretive.engine.dispose()
    restore(secretive.settings, file, now=NOW)
    if asked:
        assert kept(secretive) == SECRET
        assert (secretive.settings.state_dir / NAME).stat().st_mode & 0o777 == 0o600
    else:
        with pytest.raises(VaultLocked):
            kept(secretive)
