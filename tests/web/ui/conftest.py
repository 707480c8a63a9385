"""A server with somebody who has logged in."""

from __future__ import annotations

import pytest

from tests.web.site import Site
from tests.web.ui.pages import Browser


@pytest.fixture
def browser(site: Site) -> Browser:
    """A person who has logged in, at a browser that runs no scripts."""
    site.log_in()
    return Browser(site)
