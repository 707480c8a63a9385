"""A server of this version restores what each released one has written: machines, settings and users are there."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from bty_web.models import Image
from bty_web.models.words import Policy
from bty_web.services import keys, preferences, users
from bty_web.services.restoring import restore
from bty_web.settings import Settings
from tests.web.services.kept_backup import FOLDER, SETTINGS
from tests.web.site import NOW, PASSWORD, Site
from tests.web.ui.forms import page, words

KEPT = sorted(FOLDER.glob("*.tar.gz"))


def test_there_is_one_of_each_revision() -> None:
    from alembic.script import ScriptDirectory

    from bty_web import database

    script = ScriptDirectory(str(database.MIGRATIONS))
    revisions = {one.revision for one in script.walk_revisions()}
    assert {path.name.removesuffix(".tar.gz") for path in KEPT} == revisions


@pytest.mark.parametrize("file", KEPT, ids=lambda path: path.name)
def test_a_released_backup_comes_back_whole(
    server_settings: Settings, file: Path, request: pytest.FixtureRequest
) -> None:
    # The server that restores is new, and has a key and an empty database of its own.
    keys.load_key(server_settings.state_dir)
    restore(server_settings, file, now=NOW)
    site: Site = request.getfixturevalue("site")
    machine = site.machine()
    assert (machine.name, machine.image, machine.target, machine.boot_policy) == (
        "build-7",
        "debian.img",
        "serial:S5Y1",
        Policy.FLASH_ONCE,
    )
    with site.session() as session:
        in_force = preferences.effective(session, server_settings)
        assert {name: str(getattr(in_force, name)) for name in SETTINGS} == SETTINGS
        assert users.check(session, "ann", PASSWORD) is not None
        assert session.scalars(select(Image.name)).all() == ["debian.img"]
    site.log_in()
    assert "build-7" in words(page(site, "/ui/machines").find("main"))
    assert "build-7" in words(page(site, f"/ui/machines/{machine.id}").find("main"))
    # It goes on from there: what is new gets its place behind what came back.
    site.add_image("new.img")
