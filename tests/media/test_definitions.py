"""What mkosi is told, looked at where a mistake would depend on the computer that builds."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

from bty_media.builder.request import DEFINITIONS


def test_the_site_of_nginx_goes_though_the_builder_has_no_nginx(tmp_path: Path) -> None:
    enabled = tmp_path / "etc/nginx/sites-enabled"
    enabled.mkdir(parents=True)
    link = enabled / "default"
    link.symlink_to("/nobody/has/nginx/sites-available/default")  # absolute, as Debian makes it
    said = ConfigParser(strict=False, allow_no_value=True, interpolation=None)
    said.read(DEFINITIONS / "mkosi.profiles/server/mkosi.conf")
    patterns = said["Content"]["RemoveFiles"].split()
    # As mkosi looks for them.
    assert link in [found for pattern in patterns for found in tmp_path.glob(pattern.lstrip("/"))]
