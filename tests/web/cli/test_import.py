"""`bty-web import`: a file comes into the catalog, and replaces nothing that is being flashed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bty_web.exits import Exit
from tests.web.cli.running import bty_web
from tests.web.pxe.walk import Boot, add_live_environment
from tests.web.site import Site


def test_an_image_that_is_being_flashed_is_not_replaced(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BTY_STATE_DIR", str(site.settings.state_dir))
    if site.settings.database_url:
        monkeypatch.setenv("BTY_DATABASE_URL", site.settings.database_url)
    kept = site.settings.image_root / "debian.img"
    image = tmp_path / "debian.img"
    image.write_bytes(b"the old one")
    assert bty_web("import", image).code is Exit.DONE
    add_live_environment(site)
    site.add_image()
    site.add_machine(name="alpha", image="debian.img", target="largest", boot_policy="flash")
    boot = Boot.of(site)
    boot.progress()
    image.write_bytes(b"the new one")
    ran = bty_web("import", "--replace", image)
    assert ran.code is not Exit.DONE
    assert "debian.img is being flashed onto alpha" in ran.err
    assert kept.read_bytes() == b"the old one"
    boot.done()
    assert bty_web("import", "--replace", image).code is Exit.DONE
    assert kept.read_bytes() == b"the new one"
