"""A server, and a machine on a network of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bty_web.settings import Settings
from tests.web.online.own_system import OwnSystem, own_network
from tests.web.site import Site, make_site


@pytest.fixture
def own_system(tmp_path: Path) -> Iterator[OwnSystem]:
    """A machine that can be switched on; this test and it are alone on their network."""
    with own_network():
        made = OwnSystem(tmp_path / "machine")
        made.folder.mkdir()
        yield made
        made.stop()


@pytest.fixture
def site(sqlite_settings: Settings) -> Iterator[Site]:
    """A server that is not patient."""
    made = make_site(replace(sqlite_settings, online_patience=4, online_limit=60))
    yield made
    made.engine.dispose()
