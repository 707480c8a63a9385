"""Makes ``tests/data/backups/REVISION.tar.gz``: a backup as this release writes it, to be restored by all later ones.

Run it once at each release that has a new revision: ``python -m tests.web.services.kept_backup``. What was released
is never made again; until then, a revision that changes needs its backup removed and made anew.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bty_web.services import backups, preferences, users
from bty_web.settings import Settings
from tests.web.site import NOW, OPERATOR, PASSWORD, make_site

FOLDER = Path(__file__).parents[2] / "data/backups"
SETTINGS = {"default_policy": "local", "flash_limit": "7", "dhcp_interface": "eno1"}


def main() -> None:
    """Write the backup of the present revision."""
    with tempfile.TemporaryDirectory() as folder:
        (state := Path(folder) / "state").mkdir()
        site = make_site(Settings(state_dir=state))
        site.add_image("debian.img", description="what most machines run")
        number = site.add_machine(
            name="build-7", image="debian.img", target="serial:S5Y1", boot_policy="flash-once"
        )
        site.contact()
        with site.session() as session:
            users.create(session, "ann", PASSWORD, by=OPERATOR, now=NOW)
            preferences.change(session, site.settings, SETTINGS, by=OPERATOR, now=NOW)
        file = Path(folder) / "backup"
        made = backups.make(site.settings, file, now=NOW)
        target = FOLDER / f"{made.revision}.tar.gz"
        if target.exists():
            raise SystemExit(f"{target} is there already")
        target.write_bytes(file.read_bytes())
        sys.stdout.write(f"{target}: machine {number}, {made.rows}\n")


if __name__ == "__main__":
    main()
