"""Servers with settings of their own, and one with somebody who has logged in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest

from bty_web.extensions import db
from bty_web.settings import Settings
from tests.web.site import Site, make_site
from tests.web.ui.pages import Browser

SiteOf: TypeAlias = Callable[[Settings], Site]


@pytest.fixture
def browser(site: Site) -> Browser:
    """A person who has logged in, at a browser that runs no scripts."""
    site.log_in()
    return Browser(site)


@pytest.fixture
def site_of() -> Iterator[SiteOf]:
    """Make servers out of settings; their databases are closed when the test ends."""
    made: list[Site] = []

    def make(settings: Settings) -> Site:
        made.append(make_site(settings))
        return made[-1]

    yield make
    for site in made:
        site.engine.dispose()
        with site.app.app_context():
            db.engine.dispose()
