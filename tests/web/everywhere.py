"""All places where a secret must not be found: rows, pages, API, open routes, files, a backup."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

from sqlalchemy import MetaData, select

from bty_web.models.words import Scope
from bty_web.services import backups
from tests.web.api.programs import Program
from tests.web.site import MAC, NOW, Site

_KEYS = {"vault.key", "secret.key"}
# What would not end, changes something, or is as large as an image.
_NOT_ASKED = {"ui.stream", "static"}


def everywhere(site: Site, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each place with what stands there. Whoever looks is logged in and has an administrator's token."""
    yield from _rows(site)
    yield from _answers(site)
    yield from _files(site.settings.state_dir)
    yield from _backup(site, folder / "backup")


def _rows(site: Site) -> Iterator[tuple[str, bytes]]:
    metadata = MetaData()
    metadata.reflect(site.engine)
    with site.engine.connect() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)):
                yield f"table {table.name}", repr(tuple(row)).encode()


def _answers(site: Site) -> Iterator[tuple[str, bytes]]:
    program = Program.of(site, Scope.ADMIN, f"looks {token_hex(4)}")
    headers = {"Authorization": f"Bearer {program.token}"}
    seen = 0
    for rule in site.app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.endpoint in _NOT_ASKED:
            continue
        values = {
            name: 1 if "d" in converter.regex and "x" not in converter.regex else "debian.img"
            for name, converter in rule._converters.items()
        }
        values |= {name: str(MAC) for name in ("mac", "text") if name in values}
        where = site.app.url_map.bind("localhost").build(rule.endpoint, values)
        with site.client.get(
            where, headers=headers if rule.endpoint.startswith("api.") else {}
        ) as said:
            yield f"GET {where}", said.get_data() + str(said.headers).encode()
            seen += said.status_code == 200
    assert seen > 25, "hardly anything was there to be looked at"


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in _KEYS:
            yield f"file {path.relative_to(folder)}", path.read_bytes()


def _backup(site: Site, file: Path) -> Iterator[tuple[str, bytes]]:
    backups.make(site.settings, file, now=NOW)
    with tarfile.open(file) as tar:
        assert "vault.key" not in tar.getnames()
        for member in tar.getmembers():
            content = tar.extractfile(member) if member.isfile() else None
            if content is not None:
                yield f"{member.name} in a backup", content.read()
    file.unlink()
